// A counter-based random number: the same seed and position give the same number in any batch.
#pragma once

#include <cstdint>

namespace sillar {

// In [0, 1), 53 bits. SplitMix64's finaliser applied to both words (Steele, Lea, Flood 2014).
double uniform_at(uint64_t seed, uint64_t position);

}  // namespace sillar
