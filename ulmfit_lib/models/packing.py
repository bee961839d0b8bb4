"""Where pickles that were written by versions up to 0.1 look for what reads them."""

from ulmfit_lib.serving.packing import unpack as unpack
