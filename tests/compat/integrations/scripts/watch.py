"""run.watch on a PyTorch model, with every argument; unwatch."""

import torch
import wandb
from reporting import project, report

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
criterion = torch.nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run = wandb.init(project=project(), id="watch")
run.watch(model, criterion, log="all", log_freq=2, idx=0, log_graph=True)
for _ in range(6):
    optimizer.zero_grad()
    loss = criterion(model(torch.ones(2, 4)), torch.zeros(2, 1))
    loss.backward()
    optimizer.step()
    run.log({"loss": loss.item()})
run.unwatch(model)
loss = criterion(model(torch.ones(2, 4)), torch.zeros(2, 1))
loss.backward()
run.log({"last": 1})
run.finish()
report({"parameters": [name for name, _ in model.named_parameters()]})
