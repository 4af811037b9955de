# How every file is compiled. C11 without extensions, with the POSIX and BSD declarations of the C library.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

# The interpreter is the oracle of all tests: no contraction into fused multiply-add behind its back.
add_library(kiln_flags INTERFACE)
target_compile_definitions(kiln_flags INTERFACE _DEFAULT_SOURCE)
target_compile_options(kiln_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wswitch-enum -Wmissing-prototypes -ffp-contract=off
  $<$<C_COMPILER_ID:Clang>:-Wno-string-conversion> # KILN_ASSERT(!"why")
  $<$<C_COMPILER_ID:Clang>:-Wno-enum-float-conversion>) # an enum names a constant
if(KILN_WERROR)
  target_compile_options(kiln_flags INTERFACE -Werror)
endif()
if(KILN_SANITIZE)
  target_compile_options(kiln_flags INTERFACE -fsanitize=${KILN_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(kiln_flags INTERFACE -fsanitize=${KILN_SANITIZE})
endif()
target_include_directories(kiln_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include
                           ${PROJECT_BINARY_DIR}/generated)
