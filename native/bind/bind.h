// What the files of bind/ share: array aliases and the checks on arguments from Python.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string>

#include "base/error.h"
#include "base/memory.h"

namespace sillar::bind {

namespace nb = nanobind;

// C-contiguous arrays on the CPU; nanobind refuses other dtypes and shapes with a TypeError.
template <class T, class... Options>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu, Options...>;

// Throws Error(invalid_request) unless `condition` holds.
inline void require(bool condition, const char* message) {
  if (!condition) throw Error(ErrorKind::invalid_request, message);
}

// The submodule for raw kernels, `_native.kernels`: tests call them with an ISA's name and arrays.
nb::module_ kernels_module(nb::module_& module);

// A new numpy array that owns its memory, filled by the caller.
template <class T>
nb::ndarray<nb::numpy, T> new_array(std::initializer_list<size_t> shape) {
  size_t count = 1;
  for (size_t n : shape) count *= n;
  T* data = new T[count]();
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return nb::ndarray<nb::numpy, T>(data, shape, owner);
}

}  // namespace sillar::bind
