// Splits a word into the pieces of a unigram vocabulary with the best sum of scores (Viterbi).
// Source: SentencePiece, unigram_model.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sillar {

class Unigram {
 public:
  struct Piece {
    std::string_view text;  // UTF-8, not empty
    int32_t token;
    double score;
  };

  // `unknown` stands for characters that no piece covers. Of pieces with the same text the first counts.
  // Throws Error(unsupported) for more than 16 million pieces.
  Unigram(std::span<const Piece> pieces, int32_t unknown, double unknown_score);

  // The tokens of a UTF-8 text; a run of unknown characters is one token. Among splits of the same sum the one whose
  // last pieces are longest.
  std::vector<int32_t> split(std::string_view text) const;

 private:
  // The trie of all pieces as a hash table: a node is the place of its entry.
  struct Node {
    uint32_t parent;  // 0: a free place; else 1 + the parent's place, root included
    uint32_t byte : 8;
    uint32_t piece : 24;
  };
  uint32_t find(uint32_t parent, uint8_t byte) const;

  std::vector<Node> nodes_;
  int shift_ = 0;
  std::vector<int32_t> tokens_;
  std::vector<double> scores_;
  int32_t unknown_;
  double unknown_score_;
};

}  // namespace sillar
