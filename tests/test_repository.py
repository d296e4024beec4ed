"""What the files around the code promise: commands, links, versions, sizes."""

import ast
import configparser
import itertools
import os
import pathlib
import re
import subprocess
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAX_BYTES = 8 << 20

# Written so that this file does not name what it looks for.
MACHINE = re.compile(
    r"(?<![\w.])/(?:[w]ork|[r]oot|[h]ome|[t]mp|[m]nt|[o]pt)/"
    r"|[p]ypi\.org|[p]ythonhosted|[A-Z]:\\[U]sers"
)


def text_of(name):
    return (ROOT / name).read_text()


def readme_command(name):
    """The fenced command of the README behind the comment that names it."""
    found = re.findall(
        rf"^<!-- command: {name} -->\n```bash\n(.*?)^```$",
        text_of("README.md"),
        re.DOTALL | re.MULTILINE,
    )
    assert len(found) == 1, f"{name}: {len(found)} commands in README.md"
    return found[0]


def setup_cfg():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def requirement_name(line):
    return re.match(r"[A-Za-z0-9-]+", line)[0]


@pytest.fixture(scope="module")
def files():
    """Paths that git tracks or would add; without git (a source archive), a skip."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout, so no list of its files: {error}")
    names = sorted({name for name in os.fsdecode(done.stdout).split("\0") if name})
    return [name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize("name", ["demo", "tests"])
def test_ci_runs_the_readmes_own_command(name):
    ci = text_of(".ci/run")
    assert f"$(readme_command {name}" in ci
    function = re.search(r"^readme_command\(\) \{\n.*?^\}$", ci, re.M | re.S)[0]
    extracted = subprocess.run(
        ["bash", "-c", f"{function}\nreadme_command {name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert extracted == readme_command(name)


def test_readmes_commands_start_from_nothing():
    for name, ends_with in [("demo", "--output out\n"), ("tests", "loadfile\n")]:
        command = readme_command(name)
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert command.endswith(ends_with)
    assert ".venv/bin/keras-fpn detect --sample" in readme_command("demo")
    assert '-e ".[test]"' in readme_command("tests")
    assert ".venv/bin/python -m pytest -n 2 --dist loadfile" in readme_command("tests")


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_test_but_the_slow_ones_is_in_one_stage_of_ci(backend):
    ci = text_of(".ci/run")
    expressions = dict(re.findall(r"^(\w+)='(.* slow)'$", ci, re.MULTILINE))
    run = rf"^stage .* (?:tests {backend}|{backend}_tests) \"\$(\w+)\"(?: \\)?$"
    chosen = [expressions[name] for name in re.findall(run, ci, re.MULTILINE)]
    if backend == "tensorflow":
        addopts = setup_cfg()["tool:pytest"]["addopts"]
        chosen.append(re.search(r'-m "(.*)"', addopts)[1])
    for marks in itertools.product([False, True], repeat=3):
        kind = dict(zip(("slow", "ci", "parity"), marks, strict=True))
        stages = [expression for expression in chosen if eval(expression, kind)]
        assert len(stages) == (0 if kind["slow"] else 1), (kind, stages)


@pytest.mark.parametrize(
    ("closing", "noted"),
    [
        ("== 76 skipped, 20 deselected in 0.16s ==", True),
        ("== 76 skipped, 20 deselected, 2 warnings in 75.21s (0:01:15) ==", True),
        ("== 1 passed, 75 skipped, 20 deselected in 9.16s ==", False),
        ("== 76 passed, 20 deselected in 300.16s (0:05:00) ==", False),
        ("All checks passed!", False),
        ("", False),
    ],
)
def test_ci_says_of_a_stage_that_only_skipped_that_it_tested_nothing(
    tmp_path, closing, noted
):
    ci = text_of(".ci/run")
    names = "stage", "closing_line", "only_skipped"
    functions = [
        re.search(rf"^{name}\(\) \{{.*?^\}}$", ci, re.M | re.S)[0] for name in names
    ]
    setting = f"set -euo pipefail\nscratch={tmp_path}\nsummary={tmp_path}/summary"
    run = f"stage parity printf '%s\\n' 'SKIPPED [8] a test: passed' '{closing}'"
    subprocess.run(
        ["bash", "-c", "\n".join([setting, *functions, run])],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    summary = (tmp_path / "summary").read_text()
    assert " parity\n" in summary
    assert ("NOTHING TESTED" in summary) == noted


def test_ci_is_executable():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_readme_is_short():
    assert len(text_of("README.md").splitlines()) <= 150


def test_one_python_version_everywhere():
    config = setup_cfg()
    assert config["options"]["python_requires"] == ">=3.11"
    assert config["mypy"]["python_version"] == "3.11"
    assert tomllib.loads(text_of("ruff.toml"))["target-version"] == "py311"
    assert "Python 3.11 or later" in text_of("README.md")


def test_version_stands_in_the_package_alone_and_in_the_changelog():
    assert setup_cfg()["metadata"]["version"] == "attr: keras_fpn.version.__version__"
    versions = [
        ast.literal_eval(node.value)
        for node in ast.parse(text_of("keras_fpn/version.py")).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__version__"
    ]
    assert len(versions) == 1
    newest = re.search(r"^## (\S+)", text_of("CHANGELOG.md"), re.MULTILINE)[1]
    assert newest == versions[0]


def test_every_dependency_is_explained_with_its_bounds():
    required = setup_cfg()["options"]["install_requires"].split()
    table = re.findall(
        r"^\| ([a-z0-9-]+) \| `(\S+)` \|", text_of("docs/decisions.md"), re.MULTILINE
    )
    assert sorted(name + bounds for name, bounds in table) == sorted(required)


def test_tensorflow_addons_is_not_asked_for():
    config = setup_cfg()
    lines = config["options"]["install_requires"].split()
    for extra in config["options.extras_require"].values():
        lines += extra.split()
    assert "tensorflow-addons" not in [requirement_name(line) for line in lines]
    assert "| from tensorflow-addons | instead |" in text_of("README.md")


def test_every_page_is_in_the_index_of_docs():
    pages = {p.name for p in (ROOT / "docs").glob("*.md")} - {"README.md"}
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", text_of("docs/README.md")))
    assert linked == pages


def test_links_between_pages_lead_somewhere(files):
    broken = []
    for name in files:
        if not name.endswith(".md"):
            continue
        for link in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
            target = link.split("#")[0]
            if target and "://" not in target:
                if not (ROOT / name).parent.joinpath(target).exists():
                    broken.append(f"{name}: {link}")
    assert broken == []


def test_no_file_is_large(files):
    large = [name for name in files if (ROOT / name).stat().st_size > MAX_BYTES]
    assert large == []


def test_no_file_names_one_machine(files):
    named = []
    for name in files:
        try:
            text = text_of(name)
        except UnicodeDecodeError:  # a picture, an archive
            continue
        named += [f"{name}: {found[0]}" for found in MACHINE.finditer(text)]
    assert named == []


def test_licence_is_apaches_in_full():
    licence = text_of("LICENSE")
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert setup_cfg()["metadata"]["license"] == "Apache-2.0"
