"""Notebooks run by a real kernel: one that finishes its run, and one that just ends."""

import nbformat
from nbclient import NotebookClient
from reporting import project, report

P = project()
FINISHED = [
    f"import wandb\nrun = wandb.init(project={P!r}, id='cells', config={{'cells': 4}})\nrun",
    "for epoch in range(3):\n    run.log({'epoch': epoch, 'loss': 1 / (epoch + 1)})",
    "print('printed in a cell')\nrun.url",
    "run.log({'epoch': 3, 'loss': 0.25})\nrun.finish()",
]
LEFT = [
    f"import wandb\nwandb.init(project={P!r}, id='first')\nwandb.log({{'x': 1}})",
    f"wandb.init(project={P!r}, id='second')\nwandb.log({{'x': 2}})",
]
shown = {}
for name, cells in (("finished", FINISHED), ("left", LEFT)):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    # It has half of this to end by itself, and is killed then, with what its run has not sent.
    client.create_kernel_manager().shutdown_wait_time = 120
    client.execute()
    nbformat.write(notebook, f"{name}.ipynb")
    shown[name] = [
        "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for cell in notebook.cells
    ]
report(shown)
