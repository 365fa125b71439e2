#include "progress.hpp"

#include <cmath>

#include "io.hpp"

namespace weam {

namespace {

// 12345678 as "12.3M".
std::string short_number(double value) {
  const char* units = " kMGT";
  for (; value >= 1000 && units[1]; value /= 1000) ++units;
  return to_text(value, 3) + (*units == ' ' ? "" : std::string(1, *units));
}

}  // namespace

void Progress::start(const std::string& what, const std::string& unit, std::uint64_t total) {
  what_ = what;
  unit_ = unit;
  total_ = total;
  done_ = 0;
  start_ = last_ = Clock::now();
}

void Progress::add(std::uint64_t done, unsigned thread) {
  done_ += done;
  if (thread != 0) return;
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  if (Clock::now() - last_ >= pause) show();
}

void Progress::show() {
  last_ = Clock::now();
  const double seconds = std::chrono::duration<double>(last_ - start_).count();
  const double done = static_cast<double>(done_), share = total_ > 0 ? done / static_cast<double>(total_) : 0;
  std::string text = what_ + ": ";
  text += total_ > 0 ? std::to_string(static_cast<int>(100 * share)) + " %" : short_number(done) + " " + unit_;
  text += ", " + short_number(done / seconds) + " " + unit_ + "/s";
  if (share > 0) text += ", " + std::to_string(static_cast<long>(std::ceil(seconds / share - seconds))) + " s left";
  if (terminal_) {
    log_ << "\r\x1b[K" << text << std::flush;
    shown_ = true;
  } else {
    log_ << "  " << text << std::endl;
  }
}

void Progress::finish() {
  if (shown_) log_ << "\r\x1b[K" << std::flush;
  shown_ = false;
}

std::ostream& Progress::log() {
  finish();
  return log_;
}

}  // namespace weam
