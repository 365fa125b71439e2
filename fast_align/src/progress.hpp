// The log on standard error: lines that stay, and how far the work is.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

namespace weam {

// A bar that is renewed in place on a terminal; else a line every ten seconds, so that short runs stay silent.
class Progress {
 public:
  Progress(std::ostream& log, bool terminal) : log_(log), terminal_(terminal) {}
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // total 0: not known.
  void start(const std::string& what, const std::string& unit, std::uint64_t total);
  // May be called by any thread; only thread 0 writes.
  void add(std::uint64_t done, unsigned thread);
  void finish();               // wipes the bar
  std::ostream& log();         // for lines that stay; wipes the bar

 private:
  using Clock = std::chrono::steady_clock;
  void show();
  std::ostream& log_;
  bool terminal_, shown_ = false;
  std::string what_, unit_;
  std::uint64_t total_ = 0;
  std::atomic<std::uint64_t> done_{0};
  Clock::time_point start_, last_;
};

}  // namespace weam
