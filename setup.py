"""The optional compiled extension; everything else about the package stands in pyproject.toml.

One C++ source is compiled once for each instruction set, and the best one is chosen when it runs. Where that fails, for
want of a compiler for instance, the package is installed without it and works, more slowly.
"""

from __future__ import annotations

import os
import platform
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = Path("skseqmetric", "_ops", "compiled")
FILE = "recurrence.binary"  # not a Python module: it is loaded through its C interface, by any version of Python

X86 = platform.machine().lower() in ("x86_64", "amd64") and "arm64" not in sysconfig.get_platform()
FLAGS = [
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-pthread",
    "-g0",
]
INSTRUCTION_SETS = {
    "kernels_avx2": ["-mavx2", "-mfma"],
    "kernels_avx512": ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
}
UNFUSED = ["-ffp-contract=off"]  # of dtw: distances have the same bits on every machine


class BuildKernels(build_ext):
    """Gives every source the flags of its instruction set."""

    def get_ext_filename(self, fullname: str) -> str:
        """Where the extension lies among the packages; asked with and without their names."""
        return str(Path(*fullname.split(".")[:-1], FILE))

    def build_extension(self, ext: Extension) -> None:
        """Compile the sources side by side, and link."""

        def compiled(source: str) -> list[str]:
            stem = Path(source).stem
            chosen = INSTRUCTION_SETS.get(f"kernels_{stem.rpartition('_')[2]}", [])
            flags = [*FLAGS, *chosen, *(UNFUSED if stem.startswith("dtw") else [])]
            return self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                macros=ext.define_macros,
                depends=ext.depends,
                extra_postargs=flags,
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # threads wait for a compiler each
            objects = [file for files in pool.map(compiled, ext.sources) for file in files]
        self.compiler.link_shared_object(
            objects, self.get_ext_fullpath(ext.name), extra_postargs=["-pthread"], target_lang="c++"
        )


class AnyPython(bdist_wheel):
    """A wheel for one platform and every version of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """Python, ABI, platform."""
        return "py3", "none", super().get_tag()[2]


kernels = ["kernels_generic", *(INSTRUCTION_SETS if X86 else [])]
parts = ("dtw", "memory", "scans")
builds = [name.replace("kernels", part) for part in ("kernels", *parts) for name in kernels]
sources = ["recurrence", *parts, *builds]
extension = Extension(
    "skseqmetric._ops.compiled.recurrence",
    [str(FOLDER / "src" / f"{name}.cpp") for name in sources],
    depends=sorted(str(path) for path in (FOLDER / "src").glob("*.[hi]*")),
    define_macros=[("SKSEQ_X86", "1")] if X86 else [],
    language="c++",
    optional=True,
)
setup(ext_modules=[extension], cmdclass={"build_ext": BuildKernels, "bdist_wheel": AnyPython})
