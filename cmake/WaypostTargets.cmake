# Functions that give every target of Waypost the same warnings and the same places.

add_library(waypost_warnings INTERFACE)
target_compile_options(waypost_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
    -Wold-style-cast -Wcast-qual -Woverloaded-virtual -Wimplicit-fallthrough -Werror>
  # Not those that the code that nvcc makes for the host compiler does not meet.
  $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings
    -Xcompiler=-Wall,-Wextra,-Wshadow,-Wconversion,-Wnon-virtual-dtor,-Woverloaded-virtual,-Werror>)

# waypost_library(NAME SOURCES a.cc ... LINK target ...)
# A static library of one engine folder.  Headers are included as "folder/name.h" and <waypost/name.h>.
function(waypost_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/engine)
  target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE waypost_warnings)
endfunction()

# waypost_test(NAME SOURCES a_test.cc ... LINK target ... [LABEL name])
# One GoogleTest program of one tests/ folder; each TEST is a test of ctest.  With LABEL it has this label of ctest, its
# name ends in .LABEL, and the target LABEL_tests builds it.
function(waypost_test name)
  cmake_parse_arguments(arg "" "LABEL" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${arg_LINK} waypost_test_paths GTest::gmock GTest::gtest_main waypost_warnings)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  set(suffix "")
  if(arg_LABEL)
    set(suffix .${arg_LABEL})
    if(NOT TARGET ${arg_LABEL}_tests)
      add_custom_target(${arg_LABEL}_tests)
    endif()
    add_dependencies(${arg_LABEL}_tests ${name})
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_SUFFIX "${suffix}" PROPERTIES TIMEOUT 600 LABELS "${arg_LABEL}")
endfunction()

# waypost_test_on_accelerator(NAME [FILTER PATTERN])
# Has ctest run the tests of a program a second time, as NAME.sim, with all tensors on simulated accelerators
# (tests/support/test_device.h); of PATTERN, as --gtest_filter takes it, when not all of them can.
function(waypost_test_on_accelerator name)
  cmake_parse_arguments(arg "" "FILTER" "" ${ARGN})
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_SUFFIX .sim TEST_FILTER "${arg_FILTER}"
    TEST_LIST ${name}_sim_TESTS PROPERTIES TIMEOUT 600 ENVIRONMENT WAYPOST_TEST_DEVICE=sim)
endfunction()

# waypost_test_in_full(NAME [FILTER PATTERN])
# Has ctest run the tests of a program once more, as NAME.full, with the label full and the counts of a full run
# (tests/support/full_run.h).  The target full_tests builds all such programs.
function(waypost_test_in_full name)
  cmake_parse_arguments(arg "" "FILTER" "" ${ARGN})
  if(WAYPOST_SANITIZE)
    return()
  endif()
  if(NOT TARGET full_tests)
    add_custom_target(full_tests)
  endif()
  add_dependencies(full_tests ${name})
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_SUFFIX .full TEST_FILTER "${arg_FILTER}"
    TEST_LIST ${name}_full_TESTS PROPERTIES TIMEOUT 10800 LABELS full RUN_SERIAL TRUE ENVIRONMENT WAYPOST_FULL_RUN=1)
endfunction()
