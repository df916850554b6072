# Defines the target TensorAtom::cxx: the static library, its header, C++17. Works wherever the prefix is moved to.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
get_filename_component(_tensoratom_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET TensorAtom::cxx)
  add_library(TensorAtom::cxx STATIC IMPORTED)
  set_target_properties(TensorAtom::cxx PROPERTIES
    IMPORTED_LOCATION "${_tensoratom_prefix}/lib/libtensoratom_cxx.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_tensoratom_prefix}/include"
    INTERFACE_COMPILE_FEATURES cxx_std_17
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
endif()
unset(_tensoratom_prefix)
