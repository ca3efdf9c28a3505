// Reads <architecture>.* metadata. Ranges are far above any real model and low enough that no
// product of two of them overflows.
#include "model/hyperparameters.h"

#include <iterator>

#include "base/error.h"

namespace sillar {
namespace {

using kernels::RopeStyle;

// How the architectures differ, beside the tensors that they have.
struct Architecture {
  const char* name;
  RopeStyle rope_style;
  bool sliding_window;  // the file's window holds for every layer
};
constexpr Architecture architectures[] = {
    {"llama", RopeStyle::interleaved, true},  // Llama, Mistral, SmolLM, TinyLlama, Yi
    {"qwen2", RopeStyle::halves, false},
    {"qwen3", RopeStyle::halves, false},
    {"bert", RopeStyle::halves, false},
};

[[noreturn]] void unsupported(const std::string& what) { throw Error(ErrorKind::unsupported, what); }

const Architecture& find_architecture(const std::string& name) {
  for (const Architecture& a : architectures) {
    if (name == a.name) return a;
  }
  std::string shown;
  for (char c : name.substr(0, 40)) shown += (c >= ' ' && c < 127) ? c : '?';
  unsupported("the architecture \"" + shown + "\"; llama, qwen2, qwen3 and bert are supported");
}

// Reads "<architecture>.<key>".
class Keys {
 public:
  Keys(const Gguf& file, const std::string& architecture) : file_(file), prefix_(architecture + ".") {}

  int64_t need(const char* key, int64_t low, int64_t high) const {
    const auto value = file_.integer(prefix_ + key, low, high);
    if (!value) throw Error(ErrorKind::file_format, "the model file lacks " + prefix_ + key + "; convert it anew");
    return *value;
  }
  int64_t integer(const char* key, int64_t low, int64_t high, int64_t otherwise) const {
    return file_.integer(prefix_ + key, low, high).value_or(otherwise);
  }
  float real(const char* key, double low, double high, double otherwise) const {
    const double value = file_.real(prefix_ + key).value_or(otherwise);
    if (!(value >= low && value <= high)) {
      throw Error(ErrorKind::file_format, prefix_ + key + " is out of range; convert the file anew");
    }
    return static_cast<float>(value);
  }
  std::string string(const char* key) const { return std::string(file_.string(prefix_ + key).value_or("")); }

 private:
  const Gguf& file_;
  std::string prefix_;
};

void read_rope(const Keys& keys, Hyperparameters& h) {
  h.rotary_dim = keys.integer("rope.dimension_count", 2, h.head_dim, h.head_dim);
  if (h.rotary_dim % 2 != 0) unsupported("an odd rope.dimension_count");
  h.rope_base = keys.real("rope.freq_base", 1.0, 1e12, 10000.0);
  const std::string scaling = keys.string("rope.scaling.type");
  h.rope_factor = keys.real("rope.scaling.factor", 1e-6, 1e6, 1.0);
  // Older files give a linear factor under another name, without a type.
  const float linear = keys.real("rope.scale_linear", 0.0, 1e6, 0.0);
  if (scaling == "linear" || (scaling.empty() && h.rope_factor != 1.0F)) {
    h.rope_scaling = RopeScaling::linear;
  } else if (scaling == "yarn") {
    h.rope_scaling = RopeScaling::yarn;
  } else if (scaling.empty() && linear > 0.0F && linear != 1.0F) {
    h.rope_scaling = RopeScaling::linear;
    h.rope_factor = linear;
  } else if (!scaling.empty() && scaling != "none") {
    unsupported("this rope scaling; none, linear and yarn are supported");
  }
  h.rope_original_context = keys.integer("rope.scaling.original_context_length", 1, int64_t{1} << 31, h.context);
  h.rope_attention_factor = keys.real("rope.scaling.attn_factor", 1e-3, 1e3, 1.0);
}

void read_encoder(const Keys& keys, Hyperparameters& h) {
  const int64_t pooling = keys.integer("pooling_type", 0, 100, 1);
  if (pooling != 1 && pooling != 2 && pooling != 4) unsupported("this pooling; mean (1), CLS (2) and rank (4) are supported");
  h.pooling = static_cast<Pooling>(pooling);
  if (h.heads != h.kv_heads || h.q_dim() != h.hidden) unsupported("an encoder with grouped heads");
}

void check_shapes(const Hyperparameters& h) {
  if (h.heads % h.kv_heads != 0) unsupported("query heads that are not a multiple of the KV heads");
  if (h.heads / h.kv_heads > 64) unsupported("more than 64 query heads a KV head");
  if (h.head_dim < 16 || h.head_dim % 16 != 0 || h.head_dim > 256) unsupported("a head size that is not a multiple of 16 up to 256");
  if (h.hidden % 32 != 0 || h.ffn % 32 != 0 || h.q_dim() % 32 != 0) {
    unsupported("layer sizes that are not multiples of 32");
  }
}

}  // namespace

Hyperparameters read_hyperparameters(const Gguf& file) {
  Hyperparameters h;
  h.architecture = file.string("general.architecture").value_or("");
  h.name = file.string("general.name").value_or("");
  const Architecture& architecture = find_architecture(h.architecture);
  const Keys keys(file, h.architecture);
  if (keys.integer("expert_count", 0, 1 << 20, 0) > 0) unsupported("a mixture of experts; use a dense model");
  h.layers = keys.need("block_count", 1, 1024);
  h.hidden = keys.need("embedding_length", 32, 1 << 17);
  h.ffn = keys.need("feed_forward_length", 32, 1 << 20);
  h.heads = keys.need("attention.head_count", 1, 4096);
  h.kv_heads = keys.integer("attention.head_count_kv", 1, h.heads, h.heads);
  h.head_dim = keys.integer("attention.key_length", 16, 4096, h.hidden / h.heads);
  if (keys.integer("attention.value_length", 16, 4096, h.head_dim) != h.head_dim) {
    unsupported("values and keys of different sizes");
  }
  h.context = keys.need("context_length", 1, int64_t{1} << 31);
  h.rope_style = architecture.rope_style;
  if (h.is_encoder()) {
    h.norm_eps = keys.real("attention.layer_norm_epsilon", 0.0, 1.0, 1e-12);
    read_encoder(keys, h);
  } else {
    h.norm_eps = keys.real("attention.layer_norm_rms_epsilon", 0.0, 1.0, 1e-5);
    read_rope(keys, h);
  }
  if (architecture.sliding_window) h.window = keys.integer("attention.sliding_window", 0, int64_t{1} << 31, 0);
  check_shapes(h);
  return h;
}

}  // namespace sillar
