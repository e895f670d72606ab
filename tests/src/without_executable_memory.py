"""Becomes the program of its arguments where no memory becomes executable that was not mapped so from a file.

PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN (prctl(2), Linux 6.3), which holds over exec.
"""

import ctypes
import os
import sys

PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1

if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit("Linux 6.3 or newer is needed, whose prctl knows PR_SET_MDWE")
os.execv(sys.argv[1], sys.argv[1:])
