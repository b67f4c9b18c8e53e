#pragma once
// Where every value of a scenario comes from.
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

enum class Origin {
  kStated,     // by the document
  kCatalogue,  // the entry of the model or of the cluster
  kProfile,    // the framework profile
  kDefault,    // what trainyard takes where nobody says
  kDerived     // follows from the other values
};
inline constexpr NameTable<Origin, 5> kOriginNames{{{{"stated", Origin::kStated},
                                                     {"catalogue", Origin::kCatalogue},
                                                     {"profile", Origin::kProfile},
                                                     {"default", Origin::kDefault},
                                                     {"derived", Origin::kDerived}}}};

struct ValueOrigin {
  std::string pointer;  // "/layout/dp"
  Json value;
  Origin origin = Origin::kDerived;
  std::string why;  // of a catalogue or profile its name, of a derived value what it follows from; may be empty
};

// Of every value of `scenario.resolved`, in its order; lists are one value. `document` is what the scenario was read
// from. No value is looked up in a list of origins: those who may answer for a key (the catalogue's entries, the
// profile, the defaults) are each written down as a document of the same schema, and the first that has the key answers
// for it if it says the value that is used. What it does not say, or nobody does, is derived.
std::vector<ValueOrigin> origins_of(const Scenario& scenario, const Json& document);

}  // namespace trainyard
