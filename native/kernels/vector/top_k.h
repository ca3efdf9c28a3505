// The k best of a stream of scores: a heap of indices with the worst on top. Scores are ordered
// descending, equal ones by lower index, NaN last.
#pragma once

#include <cstdint>

namespace sillar::kernels {
namespace {

struct TopK {
  const float* scores;
  int64_t* indices;  // [capacity]
  int64_t capacity;
  int64_t count;

  bool before(int64_t a, int64_t b) const {
    const float x = scores[a], y = scores[b];
    const bool x_nan = x != x, y_nan = y != y;
    if (x_nan || y_nan) return x_nan == y_nan ? a < b : y_nan;
    return x != y ? x > y : a < b;
  }

  void swap(int64_t i, int64_t j) {
    const int64_t index = indices[i];
    indices[i] = indices[j];
    indices[j] = index;
  }

  void sift_down(int64_t i, int64_t n) {
    for (int64_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
      if (child + 1 < n && before(indices[child], indices[child + 1])) ++child;
      if (!before(indices[i], indices[child])) return;
      swap(i, child);
      i = child;
    }
  }

  void offer(int64_t index) {
    if (capacity <= 0) return;
    if (count < capacity) {
      indices[count] = index;
      for (int64_t i = count++; i > 0 && before(indices[(i - 1) / 2], indices[i]); i = (i - 1) / 2)
        swap(i, (i - 1) / 2);
    } else if (before(index, indices[0])) {
      indices[0] = index;
      sift_down(0, count);
    }
  }

  void sort() {
    for (int64_t n = count - 1; n > 0; --n) {
      swap(0, n);
      sift_down(0, n);
    }
  }
};

}  // namespace
}  // namespace sillar::kernels
