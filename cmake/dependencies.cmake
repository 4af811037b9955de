# What Kiln links: LLVM 22 (C API, shared library), cpuinfo, pthreadpool. ./dev installs them.
#
# LLVM is found through llvm-config-22 rather than its CMake package, which would ask for a C++ compiler and for the
# development files of everything LLVM itself was built with.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

find_program(LLVM_CONFIG NAMES llvm-config-22 PATHS /usr/lib/llvm-22/bin REQUIRED)
execute_process(COMMAND ${LLVM_CONFIG} --includedir OUTPUT_VARIABLE llvm_include OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${LLVM_CONFIG} --libdir OUTPUT_VARIABLE llvm_libdir OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
find_library(LLVM_LIBRARY NAMES LLVM-22 HINTS ${llvm_libdir} NO_DEFAULT_PATH REQUIRED)
cmake_path(GET LLVM_CONFIG PARENT_PATH llvm_bin)
find_program(FILECHECK NAMES FileCheck FileCheck-22 HINTS ${llvm_libdir}/../bin ${llvm_bin})

add_library(kiln_llvm INTERFACE)
target_include_directories(kiln_llvm SYSTEM INTERFACE ${llvm_include})
target_link_libraries(kiln_llvm INTERFACE ${LLVM_LIBRARY})

pkg_check_modules(cpuinfo REQUIRED IMPORTED_TARGET libcpuinfo)
find_library(PTHREADPOOL_LIBRARY pthreadpool REQUIRED)
find_path(PTHREADPOOL_INCLUDE pthreadpool.h REQUIRED)
add_library(kiln_threads INTERFACE)
target_include_directories(kiln_threads SYSTEM INTERFACE ${PTHREADPOOL_INCLUDE})
target_link_libraries(kiln_threads INTERFACE ${PTHREADPOOL_LIBRARY} Threads::Threads)
