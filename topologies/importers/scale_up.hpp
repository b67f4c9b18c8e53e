#pragma once
// Links between GPUs that a file does not show, or shows in part.
#include <string>

#include "topologies/importers/imported_node.hpp"
#include "topologies/importers/importers.hpp"
#include "topologies/importers/like_rates.hpp"

namespace trainyard {

// Links between GPUs where the file has no word about them: those of `like`.
void take_scale_up_of(const LikeNode& like, const std::string& name, ImportedNode& node);

// Notes GPUs with fewer links to a plane of switches than others on it: some are broken.
void note_broken_links(ImportedNode& node);

// A file shows what one host sees. Where `like` joins the GPUs of many hosts by switches (NVL72: trays of four GPUs),
// the hosts of the file are some of them, and the node is made of as many as there are.
void complete_domain(const ImportBasis& basis, const LikeNode& like, ImportedNode& node);

}  // namespace trainyard
