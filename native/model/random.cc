// SplitMix64 as a hash of (seed, position).
#include "model/random.h"

namespace sillar {
namespace {

uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

double uniform_at(uint64_t seed, uint64_t position) {
  constexpr uint64_t golden = 0x9e3779b97f4a7c15ULL;
  const uint64_t bits = mix(mix(seed + golden) + position * golden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace sillar
