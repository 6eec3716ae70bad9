# CUDA for cuda/, tests/cuda and bench/cuda_bench.cu.  WAYPOST_CUDA is ON where nvcc is found, unless it is set; what
# is built with it also starts on a machine without a driver.
if(NOT DEFINED WAYPOST_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(CMAKE_CUDA_COMPILER)
  option(WAYPOST_CUDA "Build the parts that need a CUDA toolkit" ON)
else()
  option(WAYPOST_CUDA "Build the parts that need a CUDA toolkit" OFF)
endif()

if(WAYPOST_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    # Code for A100 and H100, and PTX from which a driver makes code for what comes after them.
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
  endif()
  if(WAYPOST_CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()
  enable_language(CUDA)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
    message(FATAL_ERROR "nvcc ${CMAKE_CUDA_COMPILER_VERSION} knows no C++20; 12 does, and -DWAYPOST_CUDA=OFF builds "
      "without")
  endif()
  find_package(CUDAToolkit REQUIRED)
  # What CMake 3.25 does not know of this compiler; targets then take CMAKE_CXX_STANDARD for CUDA too.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
