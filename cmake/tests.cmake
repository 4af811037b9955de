# Tests, all registered with ctest and labelled by folder.
#
#   unit numeric cache emulate  every test_<thing>.c is one Criterion executable, linked with the other .c files of
#                               tests/ whose headers it includes
#   threads                     every .c is a plain program (Criterion cannot run under ThreadSanitizer): exit status 0
#                               passes, 77 skips
#   golden                      lit and FileCheck
#   emit                        a script for every row of targets.def: objects and headers made ahead of time
#   cross                       a script for every row of another family: its kernels run under qemu-user
#   install                     scripts that look at the shared library and at an installation
#   examples                    every program of examples/ runs and exits with 0
#
# tests/emulate/ beside its tests is a library, kiln_emulate: a test of any folder that includes its headers links it.
#
# An executable links only the rooms whose headers it names, so one room's tests build while another room is broken.
set(kiln_results ${PROJECT_BINARY_DIR}/results)
set(kiln_test_unset "KILN_CACHE_PATH=unset:;KILN_TRACE=unset:;KILN_TUNE_FILE=unset:")
set(kiln_test_environment "KILN_CACHE_DIR=${PROJECT_BINARY_DIR}/test-cache"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0"
    "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp:second_deadlock_stack=1"
    "UBSAN_OPTIONS=print_stacktrace=1")
# A request for too much memory fails as it does in production.
set(kiln_asan_options
    "ASAN_OPTIONS=string_append::allocator_may_return_null=1:strict_string_checks=1:detect_stack_use_after_return=1")
add_custom_target(tests)

# Registers a test as <folder>/<name>; ARGN is the command.
function(kiln_add_test folder name)
  set(cost 1)
  if(folder STREQUAL "numeric") # the longest run first
    set(cost 100)
  endif()
  add_test(NAME ${folder}/${name} COMMAND ${ARGN})
  set_tests_properties(${folder}/${name} PROPERTIES LABELS ${folder} TIMEOUT 1200 SKIP_RETURN_CODE 77 COST ${cost}
                       ENVIRONMENT "${kiln_test_environment}"
                       ENVIRONMENT_MODIFICATION "${kiln_test_unset};${kiln_asan_options}"
                       FAIL_REGULAR_EXPRESSION "ERROR: [A-Za-z]*Sanitizer")
endfunction()

# The instruction trap emulator; Linux on x86-64 only.
file(GLOB sources CONFIGURE_DEPENDS tests/emulate/*.c)
list(FILTER sources EXCLUDE REGEX "/test_[^/]*$")
add_library(kiln_emulate STATIC EXCLUDE_FROM_ALL ${sources})
set_source_files_properties(tests/emulate/tiles_inner.c PROPERTIES
                            COMPILE_OPTIONS "-O2;-ftree-vectorize;-mavx2;-mfma;-fno-sanitize=all")
target_link_libraries(kiln_emulate PUBLIC kiln_flags kiln_llvm m)

# The test `source` and what it includes of tests/, with the .c files beside those headers.
function(kiln_test_files out source)
  cmake_path(GET source PARENT_PATH folder)
  set(files "")
  set(waiting ${source})
  while(waiting)
    list(POP_FRONT waiting file)
    list(APPEND files ${file})
    file(STRINGS ${file} includes REGEX "^ *# *include *\"")
    foreach(include IN LISTS includes)
      string(REGEX REPLACE "^[^\"]*\"([^\"]*)\\.h\".*" "\\1" stem "${include}")
      if(stem MATCHES "^tests/")
        set(stem ${PROJECT_SOURCE_DIR}/${stem})
      else()
        cmake_path(GET stem FILENAME stem)
        set(stem ${folder}/${stem})
      endif()
      if(stem MATCHES "/tests/emulate/")
        continue()
      endif()
      foreach(found ${stem}.h ${stem}.c)
        if(EXISTS ${found} AND NOT found IN_LIST files AND NOT found IN_LIST waiting)
          list(APPEND waiting ${found})
        endif()
      endforeach()
    endforeach()
  endwhile()
  set(${out} ${files} PARENT_SCOPE)
endfunction()

# The rooms that the files ARGN include, as library names.
function(kiln_rooms_of out)
  set(libraries kiln_ir_support)
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(STRINGS ${file} includes REGEX "^ *# *include *\"")
    foreach(folder ir/target ir/graph ir/tile templates lower jit runtime)
      if(includes MATCHES "\"${folder}/")
        string(REPLACE / _ room ${folder})
        list(APPEND libraries kiln_${room})
      endif()
    endforeach()
    if(includes MATCHES "\"bench/")
      list(APPEND libraries kiln_bench)
    endif()
    if(includes MATCHES "\"tests/emulate/")
      list(APPEND libraries kiln_emulate)
    endif()
    if(includes MATCHES "\"kiln/graph\\.h\"")
      list(APPEND libraries kiln_ir_graph)
    endif()
    if(includes MATCHES "\"kiln/(kiln|tile)\\.h\"")
      list(APPEND libraries kiln_runtime)
    endif()
  endforeach()
  list(REMOVE_DUPLICATES libraries)
  set(${out} ${libraries} PARENT_SCOPE)
endfunction()

# A test executable from its files.
function(kiln_test_program folder name)
  kiln_rooms_of(libraries ${ARGN})
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE ${libraries} kiln_flags Threads::Threads m ${CMAKE_DL_LIBS})
  target_compile_definitions(${name} PRIVATE KILN_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                             KILN_BINARY_DIR="${PROJECT_BINARY_DIR}" KILN_COMMAND="${PROJECT_BINARY_DIR}/kiln")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if(NOT TARGET tests_${folder})
    add_custom_target(tests_${folder})
    add_dependencies(tests tests_${folder})
  endif()
  add_dependencies(tests_${folder} ${name})
endfunction()

pkg_check_modules(criterion IMPORTED_TARGET criterion)
if(TARGET PkgConfig::criterion AND NOT KILN_SANITIZE STREQUAL "thread")
  foreach(folder unit numeric cache emulate)
    file(GLOB sources CONFIGURE_DEPENDS tests/${folder}/test_*.c)
    foreach(source IN LISTS sources)
      cmake_path(GET source STEM name)
      if(TARGET ${name})
        set(name ${folder}_${name})
      endif()
      kiln_test_files(files ${source})
      kiln_test_program(${folder} ${name} ${files})
      target_link_libraries(${name} PRIVATE PkgConfig::criterion)
      kiln_add_test(${folder} ${name} ${name} --jobs=1 --xml=${kiln_results}/${folder}-${name}.xml)
    endforeach()
  endforeach()
endif()

file(GLOB sources CONFIGURE_DEPENDS tests/threads/*.c)
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  kiln_test_program(threads threads_${name} ${source})
  kiln_add_test(threads ${name} threads_${name})
endforeach()

foreach(source IN LISTS example_sources)
  cmake_path(GET source STEM name)
  add_dependencies(tests example_${name})
  kiln_add_test(examples ${name} example_${name})
endforeach()

file(GLOB_RECURSE goldens CONFIGURE_DEPENDS tests/golden/*.test tests/golden/*.kgraph tests/golden/*.tile)
find_program(LIT NAMES lit HINTS ${llvm_libdir}/../bin ${llvm_bin} NO_DEFAULT_PATH)
if(goldens AND LIT AND FILECHECK AND TARGET kiln_command)
  add_dependencies(tests kiln_command)
  kiln_add_test(golden lit ${LIT} -v --xunit-xml-output=${kiln_results}/golden-lit.xml
                --param kiln=$<TARGET_FILE:kiln_command> --param filecheck=${FILECHECK}
                --param out=${PROJECT_BINARY_DIR}/golden ${PROJECT_SOURCE_DIR}/tests/golden)
endif()

if(TARGET kiln_command AND NOT KILN_SANITIZE STREQUAL "thread")
  add_dependencies(tests kiln_command)
  file(STRINGS ir/target/targets.def rows REGEX "^TARGET\\(")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ir/target/targets.def)
  foreach(row IN LISTS rows)
    string(REGEX REPLACE "^TARGET\\( *\"([^\"]*)\".*" "\\1" name "${row}")
    kiln_add_test(emit ${name} ${PROJECT_SOURCE_DIR}/tests/emit/target.sh ${PROJECT_SOURCE_DIR}
                  ${PROJECT_BINARY_DIR} ${name})
  endforeach()
endif()

if(rows)
  kiln_test_files(files ${PROJECT_SOURCE_DIR}/tests/cross/make_cases.c)
  kiln_test_program(cross make_cases ${files})
  foreach(row IN LISTS rows)
    string(REGEX REPLACE "^TARGET\\( *\"([^\"]*)\".*" "\\1" name "${row}")
    if(NOT row MATCHES ", *X86_64,")
      kiln_add_test(cross ${name} ${PROJECT_SOURCE_DIR}/tests/cross/cross.sh ${PROJECT_SOURCE_DIR}
                    ${PROJECT_BINARY_DIR} ${name})
    endif()
  endforeach()
endif()

if(TARGET kiln_command AND NOT KILN_SANITIZE)
  add_dependencies(tests kiln_command man)
  foreach(script exports consumer completion)
    kiln_add_test(install ${script} ${PROJECT_SOURCE_DIR}/tests/install/${script}.sh ${PROJECT_SOURCE_DIR}
                  ${PROJECT_BINARY_DIR})
  endforeach()
endif()
