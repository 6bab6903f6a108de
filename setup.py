"""The packages: the folders at the top, installed under the one name `taskmark`."""

from setuptools import find_packages, setup

FOLDERS = {
    "taskmark": "benchmark",
    "taskmark.methods": "methods",
    "taskmark.suites": "suites",
    "taskmark.reports": "reports",
}

# How the weights that are shipped were trained; run from a checkout alone.
NOT_INSTALLED = ("*.pretraining", "*.pretraining.*")

setup(
    package_dir=FOLDERS,
    packages=[
        ".".join((name, *part))
        for name, folder in FOLDERS.items()
        for part in [(), *((package,) for package in find_packages(folder, exclude=NOT_INSTALLED))]
    ],
)
