// The plain greedy draw reads the logits once. Everything else works on a copy that holds no NaN.
#include "model/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "model/random.h"

namespace sillar {
namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();
constexpr float highest = 1e30F;  // an infinite logit would make NaN of every difference

float clean(float logit) { return std::isnan(logit) ? lowest : std::min(logit, highest); }

bool allowed(const uint32_t* mask, int64_t token) { return ((mask[token / 32] >> (token % 32)) & 1U) != 0; }

}  // namespace

Sampler::Sampler(const kernels::VectorKernels& vector, int64_t vocab, int workers)
    : vector_(vector), vocab_(vocab), scratch_(static_cast<size_t>(workers)) {
  const auto n = static_cast<size_t>(vocab);
  for (Scratch& s : scratch_) {
    s.logits.resize(n);
    s.weights.resize(n);
    s.order.resize(n);
    s.counts.resize(n);
  }
}

void Sampler::draw(const DrawInput& input, int worker, Draw& out) {
  const SamplingOptions& options = *input.options;
  Scratch& s = scratch_[static_cast<size_t>(worker)];
  if (input.target >= 0) {
    out.token = input.target;
    report(input, s, out);
    return;
  }
  const bool plain = !options.penalises() && options.logit_bias.empty() && input.allowed == nullptr;
  if (plain && options.temperature <= 0) {
    out.token = argmax(input.logits);
  } else {
    modify(input, s);
    out.token = options.temperature <= 0 ? argmax(s.logits.data()) : sample(input, s);
    if (input.allowed != nullptr && !allowed(input.allowed, out.token)) out.token = -1;
  }
  out.logprob = std::numeric_limits<float>::quiet_NaN();
  if (options.logprobs > 0 && out.token >= 0) report(input, s, out);
}

// Block maxima by the kernel, then one block by hand: ties go to the lowest index, NaN loses.
int32_t Sampler::argmax(const float* logits) const {
  constexpr int64_t block = 512;
  int64_t best_begin = 0;
  float best = lowest;
  for (int64_t begin = 0; begin < vocab_; begin += block) {
    const float most = vector_.max(logits + begin, std::min(block, vocab_ - begin));
    if (most > best) {
      best = most;
      best_begin = begin;
    } else if (std::isnan(most)) {  // the kernel may let a NaN win: look at this block's numbers alone
      for (int64_t i = begin; i < std::min(begin + block, vocab_); ++i) {
        if (logits[i] > best) {
          best = logits[i];
          best_begin = begin;
        }
      }
    }
  }
  for (int64_t i = best_begin; i < std::min(best_begin + block, vocab_); ++i) {
    if (logits[i] == best) return static_cast<int32_t>(i);
  }
  return 0;
}

void Sampler::modify(const DrawInput& input, Scratch& s) const {
  std::transform(input.logits, input.logits + vocab_, s.logits.begin(), clean);
  if (input.options->penalises()) penalise(input, s);
  for (const auto& [token, bias] : input.options->logit_bias) {
    float& logit = s.logits[static_cast<size_t>(token)];
    logit = clean(logit + bias);
  }
  if (input.allowed == nullptr) return;
  for (int64_t i = 0; i < vocab_; ++i) {
    if (!allowed(input.allowed, i)) s.logits[static_cast<size_t>(i)] = lowest;
  }
}

void Sampler::penalise(const DrawInput& input, Scratch& s) const {
  const SamplingOptions& options = *input.options;
  const std::span<const int32_t> parts[] = {input.history, input.recent};
  for (const auto& part : parts) {
    for (int32_t token : part) ++s.counts[static_cast<size_t>(token)];
  }
  for (const auto& part : parts) {
    for (int32_t token : part) {
      int32_t& count = s.counts[static_cast<size_t>(token)];
      if (count == 0) continue;  // a repetition of one that is done
      float& logit = s.logits[static_cast<size_t>(token)];
      logit = logit > 0 ? logit / options.repetition_penalty : logit * options.repetition_penalty;
      logit -= options.presence_penalty + options.frequency_penalty * static_cast<float>(count);
      logit = clean(logit);
      count = 0;
    }
  }
}

// Leaves the candidates' tokens in s.order, the most likely first where a filter needs an order, and
// returns their number. s.logits are tempered.
int64_t Sampler::candidates(const SamplingOptions& options, Scratch& s) const {
  if (options.top_k > 0 && options.top_k < vocab_) {
    return vector_.top_k(s.logits.data(), vocab_, options.top_k, s.order.data());
  }
  const float most = *std::max_element(s.logits.begin(), s.logits.end());
  const float floor = options.min_p > 0 ? most + std::log(options.min_p) : lowest;
  int64_t n = 0;
  for (int64_t i = 0; i < vocab_; ++i) {
    if (s.logits[static_cast<size_t>(i)] >= floor) s.order[static_cast<size_t>(n++)] = i;
  }
  if (options.top_p < 1) {
    std::sort(s.order.begin(), s.order.begin() + n, [&](int64_t a, int64_t b) {
      const float x = s.logits[static_cast<size_t>(a)];
      const float y = s.logits[static_cast<size_t>(b)];
      return x > y || (x == y && a < b);
    });
  }
  return n;
}

int32_t Sampler::sample(const DrawInput& input, Scratch& s) const {
  const SamplingOptions& options = *input.options;
  for (float& logit : s.logits) logit = std::min(logit / options.temperature, highest);
  int64_t n = candidates(options, s);
  if (n == 0) return argmax(s.logits.data());
  float most = lowest;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, s.logits[static_cast<size_t>(s.order[static_cast<size_t>(i)])]);
  if (most == lowest) return argmax(s.logits.data());
  double total = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float weight = std::exp(s.logits[static_cast<size_t>(s.order[static_cast<size_t>(i)])] - most);
    s.weights[static_cast<size_t>(i)] = weight >= options.min_p ? weight : 0;
    total += static_cast<double>(s.weights[static_cast<size_t>(i)]);
  }
  if (options.top_p < 1) {
    double kept = 0;
    int64_t last = 0;
    while (last < n && (last == 0 || kept < static_cast<double>(options.top_p) * total)) {
      kept += static_cast<double>(s.weights[static_cast<size_t>(last++)]);
    }
    n = last;
    total = kept;
  }
  double left = uniform_at(options.seed, static_cast<uint64_t>(input.position)) * total;
  for (int64_t i = 0; i < n; ++i) {
    left -= static_cast<double>(s.weights[static_cast<size_t>(i)]);
    if (left < 0) return static_cast<int32_t>(s.order[static_cast<size_t>(i)]);
  }
  return static_cast<int32_t>(s.order[0]);
}

void Sampler::report(const DrawInput& input, Scratch& s, Draw& out) const {
  std::transform(input.logits, input.logits + vocab_, s.logits.begin(), clean);
  const float most = *std::max_element(s.logits.begin(), s.logits.end());
  double total = 0;
  for (float logit : s.logits) total += static_cast<double>(std::exp(logit - most));
  const auto log_total = static_cast<float>(std::log(total)) + most;
  out.logprob = s.logits[static_cast<size_t>(out.token)] - log_total;
  const int64_t n = vector_.top_k(s.logits.data(), vocab_, std::min(input.options->logprobs, vocab_), s.order.data());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t token = s.order[static_cast<size_t>(i)];
    out.top_tokens.push_back(static_cast<int32_t>(token));
    out.top_logprobs.push_back(s.logits[static_cast<size_t>(token)] - log_total);
  }
}

}  // namespace sillar
