// The extension `_native`: exceptions, the submodule for raw kernels, and one bind_<file> a file of
// this folder.
#include "bind/bind.h"

namespace sillar::bind {

#define SILLAR_BIND_PART(name) void bind_##name(nb::module_& module);
#include "bind_parts.inc"
#undef SILLAR_BIND_PART

namespace {

const char* kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::file_format: return "file_format";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::out_of_memory: return "out_of_memory";
    case ErrorKind::invalid_request: return "invalid_request";
  }
  return "unknown";
}

// `_native.Error(message)` with `.kind`, one of the names above.
void bind_errors(nb::module_& module) {
  PyObject* type = PyErr_NewException("sillar._native.Error", PyExc_RuntimeError, nullptr);
  if (type == nullptr) nb::raise_python_error();
  module.attr("Error") = nb::steal(type);
  nb::register_exception_translator(
      [](const std::exception_ptr& thrown, void* error_type) {
        try {
          std::rethrow_exception(thrown);
        } catch (const Error& e) {
          nb::object error = nb::borrow(static_cast<PyObject*>(error_type))(e.what());
          error.attr("kind") = kind_name(e.kind());
          PyErr_SetObject(static_cast<PyObject*>(error_type), error.ptr());
        }
      },
      type);
}

}  // namespace

nb::module_ kernels_module(nb::module_& module) {
  return nb::cast<nb::module_>(module.attr("kernels"));
}

}  // namespace sillar::bind

NB_MODULE(_native, module) {
  using namespace sillar::bind;
  bind_errors(module);
  module.def_submodule("kernels", "Raw kernels, for tests: an ISA's name and arrays in, arrays out.");
#define SILLAR_BIND_PART(name) bind_##name(module);
#include "bind_parts.inc"
#undef SILLAR_BIND_PART
}
