"""Transformers' Trainer with report_to="wandb", on a model and data that it makes itself."""

import torch
import wandb
from reporting import report
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

torch.manual_seed(0)


class Data(torch.utils.data.Dataset):
    """Sixteen sequences; the label is whether the first token is even."""

    def __len__(self):
        return 16

    def __getitem__(self, number):
        tokens = torch.arange(number, number + 6) % 20
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones(6, dtype=torch.long),
            "labels": torch.tensor(number % 2),
        }


config = BertConfig(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=8,
)
arguments = TrainingArguments(
    output_dir="out",
    report_to="wandb",
    run_name="tiny-bert",
    max_steps=6,
    logging_steps=2,
    eval_strategy="steps",
    eval_steps=3,
    per_device_train_batch_size=4,
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
trainer = Trainer(BertForSequenceClassification(config), arguments, train_dataset=Data(), eval_dataset=Data())
trainer.train()
wandb.finish()
report({"history": trainer.state.log_history})
