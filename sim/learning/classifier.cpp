#include <algorithm>
#include <cmath>
#include <memory>

#include "sim/learning/problem.hpp"

namespace trainyard {
namespace {

struct Sample {
  std::vector<double> inputs;
  std::size_t label = 0;
};

// What is drawn under a classifier's seed.
enum class DrawnOf : std::uint64_t { kCentre = 1, kSample, kWeight };

std::uint64_t key_of(DrawnOf what) {
  return static_cast<std::uint64_t>(what);
}

// Samples of all classes in turn, each at its cloud's centre plus noise. Centres lie two standard deviations from the
// origin, so that classes overlap a little.
std::vector<Sample> draw_samples(const Classifier& asked, std::uint64_t set) {
  const Draw drawn(asked.seed);
  const auto classes = static_cast<std::size_t>(asked.layers.back());
  const auto clouds = static_cast<std::size_t>(asked.clouds);
  const auto inputs = static_cast<std::size_t>(asked.layers.front());
  constexpr double kDistance = 2.0;
  std::vector<Sample> out;
  for (std::size_t s = 0; s < static_cast<std::size_t>(asked.samples); ++s) {
    Sample sample{.label = s % classes};
    const std::size_t cloud = sample.label * clouds + s / classes % clouds;
    double length = 0.0;
    for (std::size_t i = 0; i < inputs; ++i) {
      const double centre = drawn.of(key_of(DrawnOf::kCentre)).of(cloud).of(i).normal();
      length += centre * centre;
      sample.inputs.push_back(centre);
    }
    for (std::size_t i = 0; i < inputs; ++i) {
      sample.inputs[i] *= kDistance / std::sqrt(length);
      sample.inputs[i] += drawn.of(key_of(DrawnOf::kSample)).of(set).of(s).of(i).normal();
    }
    out.push_back(std::move(sample));
  }
  return out;
}

// Parameters lie layer by layer: of every output its weights, then its bias.
class Layers {
 public:
  explicit Layers(const Classifier& asked) : activation_(asked.activation) {
    for (const int width : asked.layers) {
      widths_.push_back(static_cast<std::size_t>(width));
    }
  }

  // Uniform weights within sqrt(6 / (inputs + outputs)), biases 0. Source: Glorot and Bengio, AISTATS 2010.
  Parameters start(std::uint64_t seed) const {
    const Draw drawn = Draw(seed).of(key_of(DrawnOf::kWeight));
    Parameters out;
    for (std::size_t layer = 0; layer + 1 < widths_.size(); ++layer) {
      const double range = std::sqrt(6.0 / static_cast<double>(widths_[layer] + widths_[layer + 1]));
      for (std::size_t o = 0; o < widths_[layer + 1]; ++o) {
        for (std::size_t i = 0; i < widths_[layer]; ++i) {
          out.push_back(range * (2.0 * drawn.of(out.size()).uniform() - 1.0));
        }
        out.push_back(0.0);
      }
    }
    return out;
  }

  // What every layer puts out; the last one probabilities of the classes.
  std::vector<std::vector<double>> forward(const Parameters& at, const Sample& sample) const {
    std::vector<std::vector<double>> out = {sample.inputs};
    std::size_t next = 0;
    for (std::size_t layer = 0; layer + 1 < widths_.size(); ++layer) {
      const bool is_last = layer + 2 == widths_.size();
      std::vector<double> values(widths_[layer + 1]);
      for (double& value : values) {
        for (const double input : out.back()) {
          value += at[next++] * input;
        }
        value += at[next++];
        value = is_last ? value : activated(value);
      }
      out.push_back(std::move(values));
    }
    softmax(out.back());
    return out;
  }

  // Adds the gradient of the sample's cross entropy.
  void add_gradient(const Parameters& at, const Sample& sample, Parameters& gradient) const {
    const std::vector<std::vector<double>> values = forward(at, sample);
    std::vector<double> errors = values.back();  // by the output of a layer, before its activation
    errors[sample.label] -= 1.0;
    std::size_t end = at.size();
    for (std::size_t layer = widths_.size() - 1; layer > 0; --layer) {
      const std::vector<double>& inputs = values[layer - 1];
      const std::size_t begin = end - errors.size() * (inputs.size() + 1);
      std::vector<double> before(inputs.size());
      for (std::size_t o = 0; o < errors.size(); ++o) {
        const std::size_t row = begin + o * (inputs.size() + 1);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          gradient[row + i] += errors[o] * inputs[i];
          before[i] += errors[o] * at[row + i];
        }
        gradient[row + inputs.size()] += errors[o];
      }
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        before[i] *= slope(inputs[i]);
      }
      errors = std::move(before);
      end = begin;
    }
  }

 private:
  double activated(double value) const {
    return activation_ == HiddenActivation::kSigmoid ? 1.0 / (1.0 + std::exp(-value)) : std::max(0.0, value);
  }
  // By what the activation put out.
  double slope(double out) const {
    return activation_ == HiddenActivation::kSigmoid ? out * (1.0 - out) : out > 0.0 ? 1.0 : 0.0;
  }
  static void softmax(std::vector<double>& values) {
    const double most = *std::max_element(values.begin(), values.end());
    double sum = 0.0;
    for (double& value : values) {
      value = std::exp(value - most);
      sum += value;
    }
    for (double& value : values) {
      value /= sum;
    }
  }

  HiddenActivation activation_;
  std::vector<std::size_t> widths_;
};

}  // namespace

LearningProblem make_problem(const Classifier& classifier) {
  const Layers layers(classifier);
  const auto learnt = std::make_shared<const std::vector<Sample>>(draw_samples(classifier, 0));
  const auto held_back = std::make_shared<const std::vector<Sample>>(draw_samples(classifier, 1));
  LearningProblem out{.start = layers.start(classifier.seed)};
  out.samples_work = 3.0 * static_cast<double>(out.start.size());
  for (std::size_t layer = 0; layer + 1 < classifier.layers.size(); ++layer) {  // a row for an output, with its bias
    out.matrices.push_back({.rows = classifier.layers[layer + 1], .columns = classifier.layers[layer] + 1});
  }
  // Samples are drawn with replacement.
  const auto sample_of = [learnt](const Draw& drawn, int b) -> const Sample& {
    const double place = drawn.of(static_cast<std::uint64_t>(b)).uniform() * static_cast<double>(learnt->size());
    return (*learnt)[static_cast<std::size_t>(place)];
  };
  out.sample_gradient = [layers, sample_of](const Parameters& at, const Draw& drawn, int b) {
    Parameters gradient(at.size());
    layers.add_gradient(at, sample_of(drawn, b), gradient);
    return gradient;
  };
  out.gradient = [layers, sample_of](const Parameters& at, const Draw& drawn, int batch) {
    Parameters gradient(at.size());
    for (int b = 0; b < batch; ++b) {
      layers.add_gradient(at, sample_of(drawn, b), gradient);
    }
    for (double& value : gradient) {
      value /= batch;
    }
    return gradient;
  };
  out.loss = [layers, learnt](const Parameters& at) {
    double sum = 0.0;
    for (const Sample& sample : *learnt) {
      sum -= std::log(layers.forward(at, sample).back()[sample.label]);
    }
    return sum / static_cast<double>(learnt->size());
  };
  out.accuracy = [layers, held_back](const Parameters& at) {
    std::size_t right = 0;
    for (const Sample& sample : *held_back) {
      const std::vector<double> chances = layers.forward(at, sample).back();
      const auto most = std::max_element(chances.begin(), chances.end());
      right += static_cast<std::size_t>(most - chances.begin()) == sample.label ? 1 : 0;
    }
    return static_cast<double>(right) / static_cast<double>(held_back->size());
  };
  return out;
}

}  // namespace trainyard
