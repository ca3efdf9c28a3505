// A mapped and parsed model file: its metadata as Python values, and what loading it will take.
#include "bind/model_file.h"

#include "model/encoder.h"
#include "model/kv_cache.h"

namespace sillar::bind {
namespace {

constexpr int most_threads = 1024;

ThreadOptions thread_options(int threads) {
  require(threads >= 0 && threads <= most_threads, "threads must be between 0 (automatic) and 1024");
  const kernels::Cpu cpu = kernels::detect_cpu();
  ThreadOptions options;
  options.threads = threads == 0 ? cpu.threads : threads;
  if (static_cast<size_t>(options.threads) <= cpu.physical.size()) options.cpus = cpu.physical;
  return options;
}

kernels::Table complete_table(const std::string& isa) {
  const kernels::Table table = kernels::choose_table(kernels::detect_cpu(), isa);
  if (table.matmul == nullptr || table.attention == nullptr || table.vector == nullptr) {
    throw Error(ErrorKind::unsupported, "this build has no kernels for " + (isa.empty() ? "this processor" : isa));
  }
  return table;
}

nb::object scalar(const GgufValue& value, uint64_t i) {
  if (value.type == GgufType::boolean) return nb::bool_(gguf_integer(value, i) != 0);
  if (value.type == GgufType::u64) {
    uint64_t number = 0;
    __builtin_memcpy(&number, value.data + i * sizeof number, sizeof number);
    return nb::int_(number);
  }
  if (gguf_is_integer(value.type)) return nb::int_(gguf_integer(value, i));
  return nb::float_(gguf_real(value, i));
}

// Strings that are not UTF-8 keep their bytes as surrogates.
nb::object text(std::string_view s) {
  PyObject* decoded = PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), "surrogateescape");
  if (decoded == nullptr) nb::raise_python_error();
  return nb::steal(decoded);
}

nb::object to_python(const GgufValue& value) {
  nb::list items;
  if (value.type == GgufType::string) {
    for_each_string(value, [&](std::string_view s) { items.append(text(s)); });
  } else {
    for (uint64_t i = 0; i < value.count; ++i) items.append(scalar(value, i));
  }
  return value.is_array ? nb::object(items) : nb::object(items[0]);
}

nb::dict read_metadata(const std::string& path) {
  const FileMapping mapping(path);
  const Gguf file(mapping.data(), mapping.bytes(), false);
  nb::dict out;
  for (const auto& [key, value] : file.metadata()) out[text(key)] = to_python(value);
  return out;
}

SharedFile open_file(const std::string& path) {
  nb::gil_scoped_release release;
  return std::make_shared<ModelFile>(path);
}

size_t kv_block_bytes_of(const ModelFile& file, const std::string& type) {
  return kv_bytes_per_block({kv_type_named(type), file.h.kv_heads, file.h.head_dim}, file.h.layers);
}

// (name, shape with the fastest dimension first, type as GGUF numbers it) of each tensor.
nb::list tensors_of(const ModelFile& file) {
  nb::list out;
  for (const GgufTensor& tensor : file.gguf.tensors()) {
    nb::list shape;
    for (int i = 0; i < tensor.dims; ++i) shape.append(tensor.shape[i]);
    out.append(nb::make_tuple(text(tensor.name), nb::tuple(shape), static_cast<uint32_t>(tensor.type)));
  }
  return out;
}

}  // namespace

Runtime::Runtime(const ModelFile& file, int threads, const std::string& isa)
    : table(complete_table(isa)), pool(thread_options(threads)), compute(table, pool, file.h.hidden) {}

LoadProgress report_to(nb::object progress) {
  return [progress = std::move(progress)](uint64_t done, uint64_t total) {
    nb::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) nb::raise_python_error();
    if (!progress.is_none()) progress(done, total);
  };
}

kernels::KvType kv_type_named(std::string_view name) {
  if (name == "f16") return kernels::KvType::f16;
  if (name == "bf16") return kernels::KvType::bf16;
  if (name == "int8") return kernels::KvType::int8;
  throw Error(ErrorKind::unsupported, "the KV cache type must be f16, bf16 or int8");
}

void bind_model_file(nb::module_& module) {
  module.def("read_metadata", &read_metadata, nb::arg("path"));
  nb::class_<ModelFile>(module, "ModelFile")
      .def_static("open", &open_file, nb::arg("path"))
      .def_prop_ro("architecture", [](const ModelFile& f) { return f.h.architecture; })
      .def_prop_ro("is_encoder", [](const ModelFile& f) { return f.h.is_encoder(); })
      .def_prop_ro("context_length", [](const ModelFile& f) { return f.h.context; })
      .def_prop_ro("file_bytes", [](const ModelFile& f) { return f.mapping.bytes(); })
      .def_prop_ro("weight_bytes",
                   [](const ModelFile& f) { return f.h.is_encoder() ? encoder_weight_bytes(f) : decoder_weight_bytes(f); })
      .def_prop_ro("tensors", &tensors_of)
      .def("kv_block_bytes", &kv_block_bytes_of, nb::arg("kv_type"));
}

}  // namespace sillar::bind
