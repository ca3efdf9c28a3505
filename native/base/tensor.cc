// The element types we read, with the block sizes that the GGUF specification gives.
#include "base/tensor.h"

namespace sillar {

const WeightTypeInfo* weight_type_info(uint32_t type) {
  static constexpr struct {
    WeightType type;
    WeightTypeInfo info;
  } known[] = {
      {WeightType::f32, {"f32", 1, 4}},       {WeightType::f16, {"f16", 1, 2}},
      {WeightType::bf16, {"bf16", 1, 2}},     {WeightType::q4_0, {"q4_0", 32, 18}},
      {WeightType::q4_1, {"q4_1", 32, 20}},   {WeightType::q5_0, {"q5_0", 32, 22}},
      {WeightType::q5_1, {"q5_1", 32, 24}},   {WeightType::q8_0, {"q8_0", 32, 34}},
      {WeightType::q2_k, {"q2_k", 256, 84}},  {WeightType::q3_k, {"q3_k", 256, 110}},
      {WeightType::q4_k, {"q4_k", 256, 144}}, {WeightType::q5_k, {"q5_k", 256, 176}},
      {WeightType::q6_k, {"q6_k", 256, 210}},
  };
  for (const auto& entry : known)
    if (uint32_t(entry.type) == type) return &entry.info;
  return nullptr;
}

}  // namespace sillar
