// The C interface of PortAudio's stream callback, as its header portaudio.h (v19) documents it.
//
// Declared again here so that neither PortAudio's header nor its library is needed to build: the
// address of our callback is handed to the PortAudio that the Python package sounddevice has loaded.
// PortAudio's "frame" is our sample.
#pragma once

namespace diffvs::portaudio {

struct TimeInfo {
    double input_adc_s;
    double current_s;
    double output_dac_s;
};

using Flags = unsigned long;
inline constexpr Flags kInputOverflow = 0x02;    // input was lost before this block
inline constexpr Flags kOutputUnderflow = 0x04;  // the output has a gap before this block

inline constexpr int kContinue = 0, kComplete = 1, kAbort = 2;

using StreamCallback = int(const void* input, void* output, unsigned long samples, const TimeInfo* time,
                           Flags flags, void* user);

}  // namespace diffvs::portaudio
