# Script: writes OUT, a header with KILN_BUILD_ID (digest over the contents and names of the files in LIST) and
# KILN_VERSION_TEXT. OUT keeps its time stamp where nothing changed.
cmake_minimum_required(VERSION 3.25)
file(READ ${LIST} files)
set(digests "")
foreach(path IN LISTS files)
  file(SHA256 ${path} digest)
  cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${ROOT})
  string(APPEND digests "${path} ${digest}\n")
endforeach()
string(SHA256 id "${digests}")
string(SUBSTRING ${id} 0 32 id)
file(CONFIGURE OUTPUT ${OUT} CONTENT
"/* build_id.h: written by cmake/build_id.cmake. */
#define KILN_BUILD_ID \"@id@\"
#define KILN_VERSION_TEXT \"@VERSION@\"
" @ONLY)
