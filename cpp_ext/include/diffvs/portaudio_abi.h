// The C interface of PortAudio's stream callback, as its header portaudio.h (v19) documents it.
//
// Declared again here so that neither PortAudio's header nor its library is needed to build: the
// address of our callback is handed to the PortAudio that the Python package sounddevice has loaded.
#pragma once

namespace diffvs::portaudio {

struct CallbackTimeInfo {
    double input_adc_s;
    double current_s;
    double output_dac_s;
};

using CallbackFlags = unsigned long;
inline constexpr CallbackFlags kInputOverflow = 0x02;    // input was lost before this block
inline constexpr CallbackFlags kOutputUnderflow = 0x04;  // the output has a gap before this block

enum CallbackResult : int { kContinue = 0, kComplete = 1, kAbort = 2 };

extern "C" {
using StreamCallback = int(const void* input, void* output, unsigned long samples, const CallbackTimeInfo* time,
                           CallbackFlags flags, void* user);
}

}  // namespace diffvs::portaudio
