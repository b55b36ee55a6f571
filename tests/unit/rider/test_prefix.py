"""Lines of ranks among torchrun's own: stripped for people, kept out of our files because the rank's own file has them.

The launcher here does what torch.distributed.elastic's TailLog does: it reads a rank's file in text mode, and writes
the prefix before every piece that readline() gives, a finished line or what stands there of an unfinished one.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.rider.riding import Volume, python

# Writes torchrun's files, then the given pieces, each in a write of its own, with pauses: reads end between them.
LAUNCHER = """
import json, os, sys, time
plan = json.load(open(sys.argv[1]))
log = os.environ.get('PET_LOG_DIR', '')
for path, text in plan['files'].items():
    os.makedirs(os.path.dirname(os.path.join(log, path)), exist_ok=True)
    open(os.path.join(log, path), 'w', newline='').write(text)
for fd, text, pause in plan['pieces']:
    os.write(fd, text.encode())
    time.sleep(pause)
"""

FILES = {
    "none_x1y2z3/attempt_0/0/stdout.log": "",
    "none_x1y2z3/attempt_0/0/stderr.log": "",
    "none_x1y2z3/attempt_0/1/stdout.log": "",
}

Piece = tuple[int, str, float]


def launch(
    volume: Volume,
    pieces: list[Piece],
    *,
    files: dict[str, str] = FILES,
    number: int = 0,
    env: dict[str, str] | None = None,
    arguments: tuple[str, ...] = (),
) -> tuple[str, str]:
    """Run the launcher; what stood on the console's stdout, and what our own stdout.log holds."""
    plan = volume.root / "plan.json"
    plan.write_text(json.dumps({"files": files, "pieces": pieces}))
    done = volume.run([*python(LAUNCHER), str(plan), *arguments], env=env)
    assert done.code == 0, done.err
    return done.out.decode(), (volume.start(number) / "stdout.log").read_bytes().decode()


def test_rank_lines_are_stripped_and_left_out(volume: Volume) -> None:
    console, file = launch(volume, [(1, "torchrun says\n[outrider:0]:epoch 1\n[outrider:13]:epoch 1\nbye\n", 0)])
    assert console == "torchrun says\nepoch 1\nepoch 1\nbye\n"
    assert file == "torchrun says\nbye\n"


def test_prefix_split_at_every_place(volume: Volume) -> None:
    text = "own\n[outrider:7]:rank\nown2\n[outrider:10]:rank10\n[outriders]: own\n"
    for cut in range(len(text)):
        console, file = launch(volume, [(1, text[:cut], 0.003), (1, text[cut:], 0)], number=cut)
        assert console == "own\nrank\nown2\nrank10\n[outriders]: own\n"
        assert file == "own\nown2\n[outriders]: own\n"


def test_unfinished_line_goes_on_with_another_prefix(volume: Volume) -> None:
    """A rank printed without newline: torchrun reads "loss" and " 0.5\\n" at different times and prefixes both."""
    console, file = launch(volume, [(1, "[outrider:0]:loss", 0.01), (1, "[outrider:0]: 0.5\n", 0), (1, "own\n", 0)])
    assert console == "loss 0.5\nown\n"
    assert file == "own\n"


def test_rank_s_piece_behind_an_unfinished_line_of_torchrun(volume: Volume) -> None:
    console, file = launch(volume, [(1, "own, no newline[outrider:1]:rank\nown\n", 0)])
    assert console == "own, no newlinerank\nown\n"
    assert file == "own, no newlineown\n"


def test_progress_bar_lines(volume: Volume) -> None:
    """Text mode makes a newline of each carriage return: this is what torchrun prints for a tqdm bar."""
    console, file = launch(
        volume, [(2, "[outrider:0]:\n[outrider:0]: 10%|#   |\n[outrider:0]: 20%|##  |", 0), (2, "\n", 0)]
    )
    assert (console, file) == ("", "")
    assert (volume.start() / "stderr.log").read_bytes() == b""


@pytest.mark.parametrize(
    "report",
    [
        "E1121 12:53:01.123000 4711 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: -9)\n",
        "[2023-11-21 12:53:01,123] torch.distributed.elastic.multiprocessing.api: [ERROR] failed (exitcode: 3)\n",
        "ERROR:torch.distributed.elastic.multiprocessing.api:failed (exitcode: 3) local_rank: 0 (pid: 1)\n",
    ],
)
def test_report_of_torchrun_behind_an_unfinished_progress_bar_is_its_own(volume: Volume, report: str) -> None:
    """The three formats that torchrun's logger had; a rank that dies never ends the line of its bar."""
    bar = " 80%|##   | 8/10 [00:01<00:00,  5.1it/s]"
    console, file = launch(volume, [(1, f"[outrider:0]:\n[outrider:0]:{bar}{report}[outrider:1]:rank\n", 0)])
    assert console == f"\n{bar}{report}rank\n"
    assert file == report


@pytest.mark.parametrize("before", ["", "[rank0]:", "see "])
@pytest.mark.parametrize(
    "text", ["E1121 12:53:01.123000 4711 x.py:1] mine", "ERROR:torch.mine:x", "time 12:53:01.5: x"]
)
def test_rank_s_own_log_lines_are_not_taken_for_torchrun_s(volume: Volume, before: str, text: str) -> None:
    console, file = launch(volume, [(1, f"[outrider:0]:{before}{text}\n", 0)])
    assert console == f"{before}{text}\n"
    assert file == ""


def test_empty_rank_line_and_very_long_one(volume: Volume) -> None:
    long = "x" * 300_000
    console, file = launch(volume, [(1, f"[outrider:0]:\n[outrider:0]:{long}\nown\n", 0)])
    assert console == f"\n{long}\nown\n"
    assert file == "own\n"


@pytest.mark.parametrize(
    "text",
    [
        "[outrider:]:x\n",
        "[outrider:1]x\n",
        "[outrider:1 ]:x\n",
        "[outrider:-1]:x\n",
        "[outrider:12345678901]:x\n",
        "[OUTRIDER:1]:x\n",
        "[outrider:1",
        "[",
    ],
)
def test_what_only_looks_like_a_prefix_is_ordinary(volume: Volume, text: str) -> None:
    assert launch(volume, [(1, text, 0)]) == (text, text)


def test_streams_are_told_apart(volume: Volume) -> None:
    launch(
        volume, [(1, "[outrider:0]:out\n", 0), (2, "[outrider:0]:err\nE1121 torch/api.py failed (exitcode: -9)\n", 0)]
    )
    assert (volume.start() / "stdout.log").read_bytes() == b""
    assert (volume.start() / "stderr.log").read_bytes() == b"E1121 torch/api.py failed (exitcode: -9)\n"


def test_without_the_rank_s_own_file_its_lines_stay_in_ours(volume: Volume) -> None:
    """`torchrun --log-dir elsewhere` wins over our folder: then the lines exist nowhere else on the volume."""
    console, file = launch(volume, [(1, "[outrider:0]:rank\nown\n", 0)], files={})
    assert console == file == "rank\nown\n"


def test_user_s_own_tee_is_untouched(volume: Volume) -> None:
    text = "[outrider:0]:mine\n[default0]:mine\n"
    assert launch(volume, [(1, text, 0)], files={}, env={"PET_TEE": "3"}) == (text, text)


# ---------------------------------------------------------------- torch before 2.2 ignores the template
def test_old_prefix_is_stripped_where_that_local_rank_has_a_file(volume: Volume) -> None:
    console, file = launch(
        volume,
        [
            (1, "own\n[default0]:rank 0\n[default1]:ra", 0.01),
            (1, "[default1]:nk 1\n[default2]:own\n[trainer0]:own\n", 0),
        ],
    )
    assert console == "own\nrank 0\nrank 1\n[default2]:own\n[trainer0]:own\n"
    assert file == "own\n[default2]:own\n[trainer0]:own\n"


@pytest.mark.parametrize(
    ("env", "arguments"), [({"PET_ROLE": "trainer"}, ()), ({}, ("--role", "trainer")), ({}, ("--role=trainer",))]
)
def test_old_prefix_has_the_role(volume: Volume, env: dict[str, str], arguments: tuple[str, ...]) -> None:
    console, file = launch(volume, [(1, "[trainer0]:rank\n[default0]:own\n", 0)], env=env, arguments=arguments)
    assert console == "rank\n[default0]:own\n"
    assert file == "[default0]:own\n"


def test_old_prefix_is_ordinary_text_once_the_template_was_seen(volume: Volume) -> None:
    console, file = launch(volume, [(1, "[outrider:0]:x\n[default0]:own\n", 0)])
    assert console == "x\n[default0]:own\n"
    assert file == "[default0]:own\n"


def test_old_prefix_in_the_middle_of_torchrun_s_line_is_ordinary_text(volume: Volume) -> None:
    text = "see [default0]:own\n"
    assert launch(volume, [(1, text, 0)]) == (text, text)


# ---------------------------------------------------------------- any torchrun
def tail_pieces(rank: int, written: str) -> list[str]:
    """What a TailLog thread writes if it finds `written` at once: universal newlines, the prefix before each piece."""
    return [f"[outrider:{rank}]:{line}" for line in io.StringIO(written, newline=None)]


# No "[": text that is itself a prefix cannot be told from one. No surrogates: a text file has none.
_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="[", exclude_categories=["Cs"]), max_size=20
) | st.sampled_from(
    ["\n", "\r", "a\r\nb", "\n\n", "[", "[out", "[outrider", "[outrider:", "[outrider:1", "]:", "[[", "x\n"]
)


@st.composite
def printed(draw: st.DrawFn) -> tuple[list[str], str, str]:
    """(writes of torchrun, console a person should see, lines of torchrun itself)."""
    stream, console, own = "", "", ""
    for _ in range(draw(st.integers(0, 12))):
        if draw(st.booleans()):
            # A rank ends its line, sometimes in several pieces; a "[" must not form a prefix with what follows.
            for _ in range(draw(st.integers(0, 2))):
                part = draw(_TEXT).replace("[", "(").replace("\r", "").replace("\n", "")
                stream += f"[outrider:{draw(st.integers(0, 999))}]:{part}"
                console += part
            for piece in tail_pieces(
                draw(st.integers(0, 2**31)) % 10**9, draw(_TEXT).replace("[outrider:1", "[") + "\n"
            ):
                stream += piece
                console += piece.split("]:", 1)[1]
        else:
            line = draw(_TEXT).replace("[outrider:1", "[outrider").replace("]:", "]") + "\n"
            stream, console, own = stream + line, console + line, own + line
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    return [piece for piece in pieces if piece], console, own


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(plan=printed())
def test_console_is_what_the_ranks_wrote_and_the_file_what_torchrun_wrote(
    volume: Volume, plan: tuple[list[str], str, str]
) -> None:
    pieces, console, own = plan
    number = len(os.listdir(volume.start().parent)) if volume.start().parent.exists() else 0
    assert launch(volume, [(1, piece, 0.002) for piece in pieces], number=number) == (console, own)


def test_torch_files_of_an_earlier_start_do_not_count(volume: Volume) -> None:
    launch(volume, [(1, "[outrider:0]:x\n", 0)])
    console, file = launch(volume, [(1, "[outrider:0]:x\n", 0)], files={}, number=1)
    assert console == file == "x\n"
    assert Path(volume.start(1) / "torch").is_dir()
