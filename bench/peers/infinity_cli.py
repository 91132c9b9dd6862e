"""Infinity's command line, and optimum's exporter, beside a torch newer than optimum 1.27 knows.

Importing them wants names from a module of torch that has moved, and the exporter wants the one of
torch's two ways of exporting that is no longer the default. Nothing else is changed.

python infinity_cli.py v2 ...             what `infinity_emb v2 ...` does
python infinity_cli.py export FROM TO     a checkpoint as an ONNX graph
"""

import sys
from functools import partial

import torch.onnx
import torch.onnx.symbolic_opset14 as former
from torch.onnx._internal.torchscript_exporter import symbolic_opset14 as present

for name in dir(present):
    if not hasattr(former, name):
        setattr(former, name, getattr(present, name))

if sys.argv[1] == "export":
    torch.onnx.export = partial(torch.onnx.export, dynamo=False)
    from optimum.exporters.onnx import main_export

    main_export(sys.argv[2], sys.argv[3], task="text-classification")
else:
    from infinity_emb.cli import cli

    cli()
