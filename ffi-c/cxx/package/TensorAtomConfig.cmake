# Defines TensorAtom::cxx (the static library, its header, C++17) and TensorAtom::c (the shared library, its header), as far
# as each is installed. Works wherever the prefix is moved to.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
get_filename_component(_tensoratom_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET TensorAtom::cxx AND EXISTS "${_tensoratom_prefix}/lib/libtensoratom_cxx.a")
  add_library(TensorAtom::cxx STATIC IMPORTED)
  set_target_properties(TensorAtom::cxx PROPERTIES
    IMPORTED_LOCATION "${_tensoratom_prefix}/lib/libtensoratom_cxx.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_tensoratom_prefix}/include"
    INTERFACE_COMPILE_FEATURES cxx_std_17
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
endif()
if(NOT TARGET TensorAtom::c AND EXISTS "${_tensoratom_prefix}/lib/libtensoratom.so")
  add_library(TensorAtom::c SHARED IMPORTED)
  set_target_properties(TensorAtom::c PROPERTIES
    IMPORTED_LOCATION "${_tensoratom_prefix}/lib/libtensoratom.so"
    IMPORTED_NO_SONAME TRUE
    INTERFACE_INCLUDE_DIRECTORIES "${_tensoratom_prefix}/include")
endif()
unset(_tensoratom_prefix)
