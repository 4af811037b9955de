# cmake --install: shared library, headers, kiln.pc, KilnConfig.cmake, the command, bash completion, man page.
