// One place for the version of both programs.
#pragma once

namespace weam {
inline constexpr const char* kVersion = "0.1.0";
}  // namespace weam
