# lit.cfg.py: the golden tests. A .test, .kgraph or .tile file with RUN lines (behind // or #) is one test.
#
#   %kiln       the command          %FileCheck  LLVM's FileCheck          %s %t  this file, a scratch file
#   not         turns an exit status of 1 to 127 into 0; `not --crash` expects a signal
#   %exits N COMMAND   COMMAND ends with status N      %exact FILE  standard input is FILE (KILN_BLESS=1 writes FILE)
#   %keys              the keys of each line of JSON   %loops       what the loops of assembly hold (loops.py)
#   %source            the root of this tree           %python      Python
import os
import sys

import lit.formats

config.name = "kiln"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".test", ".kgraph", ".tile"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = lit_config.params["out"]

filecheck = lit_config.params["filecheck"]
config.substitutions.append(("%kiln", lit_config.params["kiln"]))
config.substitutions.append(("%FileCheck", filecheck))
config.substitutions.append(("%python", sys.executable))
config.substitutions.append(("%source", os.path.dirname(os.path.dirname(config.test_source_root))))
for name in ("exits", "exact", "keys", "loops"):
    config.substitutions.append((f"%{name}", f"{sys.executable} {config.test_source_root}/{name}.py"))

config.environment["PATH"] = os.path.dirname(os.path.realpath(filecheck)) + ":" + os.environ.get("PATH", "")
config.environment["KILN_CACHE_DIR"] = os.path.join(config.test_exec_root, "cache")
for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "KILN_BLESS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
# Asking for more memory than there is must end in a message, also under a sanitizer.
config.environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":allocator_may_return_null=1"
