# SPDX-License-Identifier: Apache-2.0
"""Entry point of Sluice's Python runtime: `python3.X -S -s /var/runtime/python/bootstrap.py`.

A script is compiled anew at every start, a module is not. So this file only finds the package next to it, and the
package's compiled form (see README.md) is what a cold start loads. It works without `-S -s` too, a few ms slower.
"""

import os
import sys

_here = __file__.rpartition("/")[0] or "."
sys.path.insert(0, _here)
import sluice_runtime  # noqa: E402  (found through the entry made above)

if "SLUICE_BLANK" in os.environ:
    from sluice_runtime import blank

    blank.wait()
# The user's modules must never be shadowed by ours, nor find this folder: all our entries go.
sys.path[:] = [entry for entry in sys.path if entry != _here]
sluice_runtime.main()
