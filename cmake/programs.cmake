# The command `kiln` (tools/), the benches (bench/) and the examples: all but the command see the public headers only.
if(NOT TARGET kiln)
  return()
endif()

# A program from public headers and libkiln.so; ARGN are its sources.
function(kiln_program target)
  add_executable(${target} ${ARGN})
  target_compile_definitions(${target} PRIVATE _DEFAULT_SOURCE)
  get_target_property(options kiln_flags INTERFACE_COMPILE_OPTIONS)
  target_compile_options(${target} PRIVATE ${options})
  get_target_property(options kiln_flags INTERFACE_LINK_OPTIONS)
  if(options)
    target_link_options(${target} PRIVATE ${options})
  endif()
  target_link_libraries(${target} PRIVATE kiln Threads::Threads ${CMAKE_DL_LIBS} m)
endfunction()

# How the command and the benches measure: timing, machine probes, peers.
file(GLOB harness_sources CONFIGURE_DEPENDS bench/harness/*.c bench/peers/*.c)
add_library(kiln_bench STATIC ${harness_sources})
target_include_directories(kiln_bench PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(kiln_bench PUBLIC kiln kiln_flags ${CMAKE_DL_LIBS} m)

# The command prints the stages of a kernel, so it may also use ir/ (linked in, as libkiln.so does not export it).
file(GLOB command_sources CONFIGURE_DEPENDS tools/*.c)
if(command_sources)
  kiln_program(kiln_command ${command_sources})
  target_include_directories(kiln_command PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(kiln_command PRIVATE kiln_bench kiln_ir)
  add_dependencies(kiln_command build_id)
  set_target_properties(kiln_command PROPERTIES OUTPUT_NAME kiln
                        INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endif()

# bench/<name>.c with what lies in bench/<name>/ becomes kiln-<name>; build/kiln-demo is the main job of ./dev demo.
file(GLOB bench_sources CONFIGURE_DEPENDS bench/*.c)
foreach(source IN LISTS bench_sources)
  cmake_path(GET source STEM name)
  file(GLOB own_sources CONFIGURE_DEPENDS bench/${name}/*.c)
  kiln_program(kiln-${name} ${source} ${own_sources})
  target_include_directories(kiln-${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(kiln-${name} PRIVATE kiln_bench)
endforeach()

# The peer's epilogue deserves the vector erf of glibc, which gcc calls under -ffast-math only.
set_source_files_properties(bench/demo/separate.c PROPERTIES COMPILE_OPTIONS "-O3;-ffast-math")

file(GLOB example_sources CONFIGURE_DEPENDS examples/*.c)
foreach(source IN LISTS example_sources)
  cmake_path(GET source STEM name)
  kiln_program(example_${name} ${source})
endforeach()
