"""PyTorch Lightning with its WandbLogger."""

import pytorch_lightning as lightning
import torch
from pytorch_lightning.loggers import WandbLogger
from reporting import project, report


class Line(torch.nn.Module):
    """One weight."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)


class Module(lightning.LightningModule):
    """Fits a line."""

    def __init__(self, lr):
        super().__init__()
        self.save_hyperparameters()
        self.model = Line()

    def training_step(self, batch, number):
        """One batch."""
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.model.layer(x), y)
        self.log("train/loss", loss, on_step=True, on_epoch=False)
        return loss

    def validation_step(self, batch, number):
        """One batch."""
        x, y = batch
        self.log("val/loss", torch.nn.functional.mse_loss(self.model.layer(x), y))

    def configure_optimizers(self):
        """Plain descent."""
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


torch.manual_seed(0)
x = torch.linspace(-1, 1, 32).unsqueeze(1)
data = torch.utils.data.TensorDataset(x, 3 * x + 1)
logger = WandbLogger(project=project(), name="line", id="lightning", save_dir=".", config={"given": True})
trainer = lightning.Trainer(
    max_epochs=4,
    logger=logger,
    log_every_n_steps=2,
    enable_progress_bar=False,
    enable_checkpointing=False,
    accelerator="cpu",
    enable_model_summary=False,
)
module = Module(lr=0.1)
trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=8), torch.utils.data.DataLoader(data, batch_size=32))
logger.experiment.finish()
report({"val": float(trainer.callback_metrics["val/loss"]), "steps": trainer.global_step})
