# cmake --install: shared library, headers, kiln.pc, KilnConfig.cmake, the command, bash completion, man page.
if(NOT TARGET kiln)
  return()
endif()
include(CMakePackageConfigHelpers)

set(kiln_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Kiln)
install(TARGETS kiln EXPORT KilnTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
set_target_properties(kiln PROPERTIES INSTALL_RPATH "")
install(DIRECTORY include/kiln DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
if(TARGET kiln_command)
  install(TARGETS kiln_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  add_executable(kiln_man docs/man.c)
  target_link_libraries(kiln_man PRIVATE kiln_flags)
  add_custom_command(OUTPUT kiln.1 COMMAND kiln_man > kiln.1 VERBATIM)
  add_custom_target(man ALL DEPENDS kiln.1)
  install(FILES ${PROJECT_BINARY_DIR}/kiln.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES completion/kiln.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME kiln)
endif()

install(EXPORT KilnTargets NAMESPACE Kiln:: DESTINATION ${kiln_package_dir})
configure_package_config_file(cmake/KilnConfig.cmake.in ${PROJECT_BINARY_DIR}/KilnConfig.cmake
                              INSTALL_DESTINATION ${kiln_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/KilnConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/KilnConfig.cmake ${PROJECT_BINARY_DIR}/KilnConfigVersion.cmake
        DESTINATION ${kiln_package_dir})

# kiln.pc names its folders relative to itself, so that `cmake --install --prefix` and a moved tree stay right.
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/kiln.pc.in ${PROJECT_BINARY_DIR}/kiln.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/kiln.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
