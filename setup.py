import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "t2igan/__init__.py").read_text())[1]

setup(
    name="t2igan",
    version=VERSION,
    description="Benchmark suite for text-to-image GANs in PyTorch Lightning",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    # Experiments, plans and the zoo lie beside the package in a checkout, and in it once it is installed.
    packages=[*find_packages(include=["t2igan", "t2igan.*"]), "t2igan.experiments", "t2igan.checkpoints"],
    package_dir={"t2igan.experiments": "experiments", "t2igan.checkpoints": "checkpoints"},
    package_data={
        "t2igan": ["py.typed"],
        "t2igan.data": ["sources/*/looks.yaml"],
        "t2igan.experiments": ["**/*.yaml"],
        "t2igan.checkpoints": ["zoo/**/*"],
        "t2igan.evaluation": ["protocols/**/*.yaml"],
        "t2igan.reporting": ["published/*.yaml", "report/page.*"],
    },
    # Lower bounds; requirements.txt holds the versions that the tests were run with.
    install_requires=[
        "torch>=2.6",
        "torchvision>=0.21",
        "pytorch-lightning>=2.6,<2.7",
        "torchmetrics>=1.6,<2",
        "jsonargparse[signatures]>=4.49,<5",
        "nltk>=3.8",
        "h5py>=3.10",
        "wandb>=0.18,<1",
        "tensorboard>=2.15",
        "matplotlib>=3.8",
        "pillow>=10,<13",
        "numpy>=1.26",
        "pyyaml>=6",
        "rich>=13",
        "filelock>=3",
        "jinja2>=3.1",
        "xxhash>=3.4",
        "safetensors>=0.4",
        "pydantic>=2.6,<3",
        "pycocotools>=2.0.8",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "scipy>=1.11",
            "hypothesis>=6.100",
            "transformers>=4.40",
            "diffusers>=0.30",
            "open_clip_torch>=3.0",
            "ray>=2.9",
            "submitit>=1.5",
            "gradio>=4.40",
            "playwright>=1.40",
            "nbclient>=0.8",
            "ipykernel>=6.25",
            "wandb-workspaces>=0.4",
            "huggingface_hub>=0.24",
            "onnx>=1.16",
            "onnxscript>=0.2",
            "onnxruntime>=1.17",
        ],
        "lint": ["ruff>=0.16,<0.18", "pyright[nodejs]>=1.1.400,<1.2"],
        "clip": ["transformers>=4.40", "open_clip_torch>=3.0"],
        "diffusion": ["diffusers>=0.30", "transformers>=4.40"],
        "ray": ["ray>=2.9"],
        "slurm": ["submitit>=1.5"],
        "demo": ["gradio>=4.40"],
        "hub": ["huggingface_hub>=0.24"],
        "onnx": ["onnx>=1.16", "onnxscript>=0.2", "onnxruntime>=1.17"],
        "wandb-layout": ["wandb-workspaces>=0.4"],
    },
    entry_points={"console_scripts": ["t2igan = t2igan.cli.main:main"]},
)
