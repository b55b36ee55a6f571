"""One of each kind of media and chart."""

import hashlib
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import wandb
from PIL import Image as PilImage
from reporting import project, report

mpl.use("Agg")
P = project()
out = {"errors": {}}
rng = np.random.default_rng(7)
pixels = (rng.random((12, 16, 3)) * 255).astype(np.uint8)

Path("picture.png").write_bytes(b"")
PilImage.fromarray(pixels).save("picture.png")
Path("shape.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
Path("shape.gltf").write_text('{"asset": {"version": "2.0"}}')
Path("shape.glb").write_bytes(b"glTF\x02\x00\x00\x00\x0c\x00\x00\x00")
Path("clip.gif").write_bytes(b"")
PilImage.fromarray(pixels).save("clip.gif", save_all=True, append_images=[PilImage.fromarray(pixels[::-1])])
Path("page.html").write_text("<p>from a file</p>")
Path("protein.pdb").write_text("HEADER    TEST\nEND\n")


def kinds():
    """Name and maker of each: a maker that fails is told, and the others go on."""
    table = wandb.Table(columns=["id", "value", "label"], data=[[1, 0.5, "a"], [2, float("nan"), "ü"]])
    yield "image/numpy", lambda: wandb.Image(pixels, caption="random")
    yield "image/pil", lambda: wandb.Image(PilImage.fromarray(pixels))
    yield "image/path", lambda: wandb.Image("picture.png")
    yield "image/jpg", lambda: wandb.Image(pixels, file_type="jpg")
    yield "image/list", lambda: [wandb.Image(pixels, caption=f"c{number}") for number in range(3)]
    yield "image/matplotlib", lambda: wandb.Image(figure())
    yield (
        "image/boxes",
        lambda: wandb.Image(
            pixels,
            boxes={
                "predictions": {
                    "box_data": [
                        {
                            "position": {"minX": 0.1, "maxX": 0.5, "minY": 0.1, "maxY": 0.5},
                            "class_id": 1,
                            "box_caption": "cat",
                            "scores": {"acc": 0.9},
                        }
                    ],
                    "class_labels": {0: "dog", 1: "cat"},
                }
            },
        ),
    )
    yield (
        "image/masks",
        lambda: wandb.Image(
            pixels,
            masks={"predictions": {"mask_data": np.zeros((12, 16), dtype=np.uint8), "class_labels": {0: "road"}}},
        ),
    )
    yield "histogram/sequence", lambda: wandb.Histogram([1, 2, 2, 3, 3, 3], num_bins=3)
    yield "histogram/numpy", lambda: wandb.Histogram(np_histogram=np.histogram([1, 2, 3, 4], bins=4))
    yield "table/data", lambda: table
    yield "table/frame", lambda: wandb.Table(dataframe=pd.DataFrame({"x": [1, 2], "y": ["p", "q"]}))
    yield "table/media", lambda: wandb.Table(columns=["picture"], data=[[wandb.Image(pixels)]])
    yield "table/built", built_table
    yield "video/numpy", lambda: wandb.Video((rng.random((4, 3, 16, 16)) * 255).astype(np.uint8), fps=4, format="gif")
    yield "video/path", lambda: wandb.Video("clip.gif", format="gif")
    yield (
        "audio/numpy",
        lambda: wandb.Audio(np.sin(np.arange(800) / 10).astype(np.float32), sample_rate=8000, caption="tone"),
    )
    yield "object3d/points", lambda: wandb.Object3D(rng.random((20, 3)))
    yield (
        "object3d/scene",
        lambda: wandb.Object3D(
            {"type": "lidar/beta", "points": rng.random((5, 3)), "boxes": np.array([]), "vectors": np.array([])}
        ),
    )
    yield "object3d/obj", lambda: wandb.Object3D("shape.obj")
    yield "object3d/gltf", lambda: wandb.Object3D("shape.gltf")
    yield "object3d/glb", lambda: wandb.Object3D("shape.glb")
    yield "molecule", lambda: wandb.Molecule("protein.pdb")
    yield "plotly/figure", lambda: go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
    yield "plotly/wrapped", lambda: wandb.Plotly(go.Figure(go.Bar(x=["a"], y=[1])))
    yield "html/text", lambda: wandb.Html("<b>bold</b>")
    yield "html/file", lambda: wandb.Html("page.html")
    yield "matplotlib/figure", figure
    yield "matplotlib/pyplot", lambda: (figure(), plt)[1]
    yield "plot/line", lambda: wandb.plot.line(xy(), "x", "y", title="a line")
    yield "plot/scatter", lambda: wandb.plot.scatter(xy(), "x", "y")
    yield "plot/bar", lambda: wandb.plot.bar(xy(), "x", "y", title="bars")
    yield "plot/histogram", lambda: wandb.plot.histogram(xy(), "y")
    yield "plot/line_series", lambda: wandb.plot.line_series(xs=[0, 1, 2], ys=[[1, 2, 3], [3, 2, 1]], keys=["a", "b"])
    yield (
        "plot/pr_curve",
        lambda: wandb.plot.pr_curve(
            [0, 1, 1, 0], [[0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.6, 0.4]], labels=["no", "yes"]
        ),
    )
    yield "plot/roc_curve", lambda: wandb.plot.roc_curve([0, 1, 1, 0], [[0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.6, 0.4]])
    yield (
        "plot/confusion_matrix",
        lambda: wandb.plot.confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0], class_names=["no", "yes"]),
    )
    yield "plot/plot_table", lambda: wandb.plot_table("wandb/line/v0", xy(), {"x": "x", "y": "y"}, {"title": "custom"})


def figure():
    """A figure of one line."""
    made, axes = plt.subplots()
    axes.plot([1, 2, 3], [3, 1, 2])
    return made


def xy():
    """The table under the plots."""
    return wandb.Table(columns=["x", "y"], data=[[0, 1.0], [1, 0.5], [2, 0.25]])


def built_table():
    """A table made row by row and column by column."""
    table = wandb.Table(columns=["a"])
    table.add_data(1)
    table.add_data(2)
    table.add_column("b", ["x", "y"])
    return table


run = wandb.init(project=P, id="media", settings=wandb.Settings(console="off"))
names = []
for name, make in kinds():
    try:
        run.log({name: make()})
        names.append(name)
    except Exception as error:
        out["errors"][name] = f"{type(error).__name__}: {error}"
out["names"] = names
if hasattr(run, "plot_table"):
    out["run_plot_table"] = True
run.finish()

# What lies in the run's own folder is what must have reached the server, byte for byte.
folder = Path(run.dir)
out["local"] = {
    path.relative_to(folder).as_posix(): {
        "size": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    for path in folder.rglob("media/**/*")
    if path.is_file()
}
report(out)
