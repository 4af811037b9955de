# The rooms of docs/design.md ("Rooms"), from the bottom up, and libkiln.so made of their objects.
set(kiln_rooms "")

# Defines kiln_<room> from all sources below the room's folder; ARGN are the libraries it stands on.
function(kiln_room folder)
  string(REPLACE / _ room ${folder})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${folder}/*.c)
  if(sources)
    add_library(kiln_${room} STATIC ${sources})
    target_link_libraries(kiln_${room} PUBLIC kiln_flags ${ARGN})
    set(kiln_rooms ${kiln_rooms} ${room} PARENT_SCOPE)
  else()
    add_library(kiln_${room} INTERFACE)
    target_link_libraries(kiln_${room} INTERFACE kiln_flags ${ARGN})
  endif()
endfunction()

# ir is four libraries, so that the tests of one language do not wait for the other; kiln_ir stands for all.
kiln_room(ir/support m)
kiln_room(ir/target kiln_ir_support)
kiln_room(ir/graph kiln_ir_target)
kiln_room(ir/tile kiln_ir_target)
add_library(kiln_ir INTERFACE)
target_link_libraries(kiln_ir INTERFACE kiln_ir_tile kiln_ir_graph)
kiln_room(templates kiln_ir)
kiln_room(lower kiln_ir kiln_llvm)
kiln_room(jit kiln_lower)
kiln_room(runtime kiln_jit kiln_templates kiln_threads PkgConfig::cpuinfo)

# The generator's build id is part of every cache key: a digest of all sources that shape the code of a kernel. The jit
# reads it from "build_id.h".
file(GLOB_RECURSE generator_sources CONFIGURE_DEPENDS include/kiln/*.h include/kiln/*.def ir/*.[ch] ir/*.def
     templates/*.[ch] templates/*.def lower/*.[ch] lower/*.def jit/*.[ch] jit/*.def)
set(build_id_header ${PROJECT_BINARY_DIR}/generated/build_id.h)
set(generator_list ${PROJECT_BINARY_DIR}/generator_sources.txt)
file(CONFIGURE OUTPUT ${generator_list} CONTENT "${generator_sources}")
add_custom_command(OUTPUT ${build_id_header}
  COMMAND ${CMAKE_COMMAND} -D LIST=${generator_list} -D ROOT=${PROJECT_SOURCE_DIR}
          -D VERSION=${PROJECT_VERSION} -D OUT=${build_id_header} -P ${PROJECT_SOURCE_DIR}/cmake/build_id.cmake
  DEPENDS ${generator_sources} cmake/build_id.cmake ${generator_list}
  VERBATIM)
add_custom_target(build_id DEPENDS ${build_id_header})
if(TARGET kiln_jit)
  add_dependencies(kiln_jit build_id)
endif()
if(TARGET kiln_runtime)
  add_dependencies(kiln_runtime build_id)
endif()

if(kiln_rooms)
  set(objects "")
  foreach(room IN LISTS kiln_rooms)
    list(APPEND objects $<TARGET_OBJECTS:kiln_${room}>)
  endforeach()
  add_library(kiln SHARED ${objects})
  set_target_properties(kiln PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE C)
  target_link_libraries(kiln PRIVATE kiln_flags kiln_llvm kiln_threads PkgConfig::cpuinfo m)
  target_include_directories(kiln INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  if(NOT KILN_SANITIZE)
    target_link_options(kiln PRIVATE -Wl,--no-undefined)
  endif()
endif()
