// The trie's look-ups wait for memory: 8 bytes a node keep most of a vocabulary of 250,000 pieces in a shared cache.
#include "model/unigram.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace sillar {
namespace {

constexpr uint32_t no_piece = (1U << 24) - 1;
constexpr uint32_t root = std::numeric_limits<uint32_t>::max() - 1;  // as a parent it is written as root + 1

// Nodes of the trie of sorted texts: each adds what it does not share with the one before.
size_t count_nodes(std::span<const Unigram::Piece> pieces) {
  std::vector<std::string_view> texts;
  texts.reserve(pieces.size());
  for (const Unigram::Piece& piece : pieces) texts.push_back(piece.text);
  std::sort(texts.begin(), texts.end());
  size_t nodes = 0;
  std::string_view before;
  for (std::string_view text : texts) {
    const auto shared = std::mismatch(text.begin(), text.end(), before.begin(), before.end()).first - text.begin();
    nodes += text.size() - static_cast<size_t>(shared);
    before = text;
  }
  return nodes;
}

size_t character_bytes(char lead) {
  const auto ones = static_cast<size_t>(std::countl_one(static_cast<uint8_t>(lead)));
  return ones < 2 ? 1 : std::min<size_t>(ones, 4);
}

}  // namespace

Unigram::Unigram(std::span<const Piece> pieces, int32_t unknown, double unknown_score)
    : unknown_(unknown), unknown_score_(unknown_score) {
  if (pieces.size() >= no_piece) throw Error(ErrorKind::unsupported, "a vocabulary of more than 16 million pieces");
  const size_t places = std::bit_ceil(count_nodes(pieces) * 4 / 3 + 2);
  nodes_.assign(places, {0, 0, no_piece});
  shift_ = 64 - std::countr_zero(places);
  for (const Piece& piece : pieces) {
    uint32_t node = root;
    for (char c : piece.text) {
      const auto byte = static_cast<uint8_t>(c);
      const uint32_t at = find(node, byte);
      if (nodes_[at].parent == 0) nodes_[at] = {node + 1, byte, no_piece};
      node = at;
    }
    if (node == root || nodes_[node].piece != no_piece) continue;
    nodes_[node].piece = static_cast<uint32_t>(tokens_.size()) & no_piece;
    tokens_.push_back(piece.token);
    scores_.push_back(piece.score);
  }
}

// The place of a child, or the free one where it would lie.
uint32_t Unigram::find(uint32_t parent, uint8_t byte) const {
  const uint64_t key = (static_cast<uint64_t>(parent) << 8 | byte) * 0x9e3779b97f4a7c15ULL;
  const auto mask = static_cast<uint32_t>(nodes_.size() - 1);
  auto at = static_cast<uint32_t>(key >> shift_);
  while (nodes_[at].parent != 0 && (nodes_[at].parent != parent + 1 || nodes_[at].byte != byte)) at = (at + 1) & mask;
  return at;
}

std::vector<int32_t> Unigram::split(std::string_view text) const {
  struct Best {
    double score = -std::numeric_limits<double>::infinity();
    size_t begin = 0;
    int32_t token = 0;
  };
  std::vector<Best> best(text.size() + 1);  // of the text up to a place
  best[0].score = 0;
  const auto improve = [&](size_t begin, size_t end, double score, int32_t token) {
    if (best[begin].score + score > best[end].score) best[end] = {best[begin].score + score, begin, token};
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t next = std::min(begin + character_bytes(text[begin]), text.size());
    bool known = false;
    uint32_t node = root;
    for (size_t end = begin; end < text.size();) {
      node = find(node, static_cast<uint8_t>(text[end++]));
      if (nodes_[node].parent == 0) break;
      const uint32_t piece = nodes_[node].piece;
      if (piece == no_piece) continue;
      known = known || end == next;
      improve(begin, end, scores_[piece], tokens_[piece]);
    }
    if (!known) improve(begin, next, unknown_score_, unknown_);
    begin = next;
  }
  std::vector<int32_t> tokens;
  for (size_t at = text.size(); at > 0; at = best[at].begin)
    if (tokens.empty() || best[at].token != unknown_ || tokens.back() != unknown_) tokens.push_back(best[at].token);
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace sillar
