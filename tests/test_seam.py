import os
import re
import subprocess
import sys
import textwrap

import pytest

from recseg_d2 import _seam

MATHS = "layers models losses metrics postprocess structures"


def run_python(code, tool_env, backend="auto", **more):
    env = {**tool_env, "RECSEG_D2_BACKEND": backend, **more}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def fake_detectron2(tmp_path):
    """A folder that holds a package called detectron2, as an installed one would be."""
    package = tmp_path / "site" / "detectron2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = 'fake'\n")
    return str(package.parent)


SHOW = """
    import sys
    sys.modules["recseg_d2"] = type(sys)("recseg_d2")
    sys.modules["recseg_d2"].__path__ = ["recseg_d2"]
    from recseg_d2 import _seam
    found = _seam.install()
    import detectron2
    print(found, detectron2.__version__)
"""


def test_the_real_one_is_preferred_and_the_subset_can_be_forced(tool_env, fake_detectron2, root):
    path = os.pathsep.join([fake_detectron2, tool_env["PYTHONPATH"]])
    os.chdir(root)
    real = run_python(SHOW, tool_env, "auto", PYTHONPATH=path)
    assert real.stdout.split() == ["detectron2", "fake"], real.stderr
    forced = run_python(SHOW, tool_env, "embedded", PYTHONPATH=path)
    assert forced.stdout.split()[0] == "embedded", forced.stderr
    assert forced.stdout.strip().endswith("+embedded")


def test_real_is_refused_where_it_is_missing(tool_env):
    code = """
        import importlib.util, sys
        from importlib.machinery import PathFinder
        PathFinder.find_spec = classmethod(
            lambda cls, name, path=None, target=None, _f=PathFinder.find_spec.__func__: None
            if name == "detectron2" else _f(cls, name, path, target))
        import recseg_d2
    """
    result = run_python(code, tool_env, "detectron2")
    assert result.returncode != 0
    assert "RECSEG_D2_BACKEND=detectron2, but Detectron2 is not installed" in result.stderr


def test_an_unknown_backend_is_refused(tool_env):
    with pytest.raises(ValueError, match="'other': expected one of auto, detectron2"):
        _seam.install("other")


def test_the_maths_needs_no_detectron2(tool_env):
    code = f"""
        import sys
        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("detectron2", "torchvision"):
                    raise ImportError("blocked: " + name)
        sys.meta_path.insert(0, Blocked())
        import importlib, pkgutil, recseg_d2
        for name in {MATHS.split()!r}:
            module = importlib.import_module("recseg_d2." + name)
            path = getattr(module, "__path__", [])
            for part in pkgutil.walk_packages(path, module.__name__ + "."):
                importlib.import_module(part.name)
        print("fine")
    """
    result = run_python(code, tool_env, "none")
    assert result.stdout.strip() == "fine", result.stderr


def test_torchvision_is_never_imported_by_the_package(root):
    for path in (root / "recseg_d2").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) torchvision\b", path.read_text(), re.M), path
