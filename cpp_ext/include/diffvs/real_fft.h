// Real FFT of one fixed length, by KISS FFT (third_party/kissfft).
//
// Lengths are 2 times a product of 2s, 3s and 5s: for these KISS FFT transforms without allocating.
#pragma once

#include <kiss_fftr.h>

#include <complex>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace diffvs {

class RealFft {
public:
    explicit RealFft(std::size_t n_fft)
        : forward_(kiss_fftr_alloc(checked(n_fft), 0, nullptr, nullptr)),
          inverse_(kiss_fftr_alloc(checked(n_fft), 1, nullptr, nullptr)) {
        if (!forward_ || !inverse_) throw std::bad_alloc();
    }

    // (n_fft,) real -> (n_fft / 2 + 1,) complex, unnormalised.
    void forward(const float* samples, std::complex<float>* bins) noexcept {
        kiss_fftr(forward_.get(), samples, reinterpret_cast<kiss_fft_cpx*>(bins));
    }

    // (n_fft / 2 + 1,) complex -> (n_fft,) real, n_fft times too large. The imaginary parts of the
    // first and the last bin are ignored.
    void inverse(const std::complex<float>* bins, float* samples) noexcept {
        kiss_fftri(inverse_.get(), reinterpret_cast<const kiss_fft_cpx*>(bins), samples);
    }

private:
    // std::complex<float> is two floats side by side by the standard; so is kiss_fft_cpx.
    static_assert(sizeof(kiss_fft_cpx) == sizeof(std::complex<float>));

    static int checked(std::size_t n_fft) {
        auto rest = n_fft / 2;
        for (const std::size_t factor : {2u, 3u, 5u})
            while (rest > 0 && rest % factor == 0) rest /= factor;
        if (n_fft < 4 || n_fft % 2 != 0 || rest != 1 || n_fft > (1u << 24))
            throw std::invalid_argument("n_fft is " + std::to_string(n_fft) +
                                        "; it must be 2 times a product of 2s, 3s and 5s, such as 2048");
        return static_cast<int>(n_fft);
    }

    struct Free {
        void operator()(kiss_fftr_cfg plan) const noexcept { kiss_fftr_free(plan); }
    };
    using Plan = std::unique_ptr<kiss_fftr_state, Free>;

    Plan forward_, inverse_;  // each with scratch memory of its own
};

}  // namespace diffvs
