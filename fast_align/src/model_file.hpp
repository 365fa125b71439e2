// A trained model in one binary file, without loss: the words of both sides, and for one direction or both the table, the
// tension, the length ratio and what else the links depend on. The file ends with a checksum.
//
//   8 bytes "WEAMFA" 1 '\n' | u32 0x01020304 | u32 directions (1 forward, 2 reverse, 3 both)
//   two sides, each: u64 words | u64 bytes of spelling | u32 length of each word | the spellings
//   each direction:  u32 flags (1 diagonal, 2 empty word) | f64 tension, length ratio, p0
//                    u64 rows | u64 bytes | u64 entries | u32 size of each row | the rows | f32 probability of each entry
//   u64 checksum of all before
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>

#include "model.hpp"

namespace weam {

struct SavedModel {
  Dictionary first, second;
  std::unique_ptr<Model<float>> forward, reverse;  // forward predicts the second side of a line
};

// Either direction may be null. A fault of the stream is left to its owner.
void save_model(std::ostream& stream, const Dictionary& first, const Dictionary& second, const Model<float>* forward,
                const Model<float>* reverse);

// Throws UserError for anything that save_model did not write.
SavedModel load_model(const std::string& path);
SavedModel load_model(std::istream& stream, const std::string& name);

std::uint64_t checksum(const char* data, std::size_t size);

}  // namespace weam
