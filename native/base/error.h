// The C++ side's one exception type. Thrown for bad input only (a file, memory, a request); a
// programmer's error is an assert. bind/ turns `kind` into a Python exception type.
#pragma once

#include <stdexcept>
#include <string>

namespace sillar {

enum class ErrorKind {
  file_format,     // a model file that is not what it claims to be
  unsupported,     // a well-formed file or option that this engine does not run
  out_of_memory,   // an allocation or mapping that was refused
  invalid_request  // arguments of a call that contradict the loaded model
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace sillar
