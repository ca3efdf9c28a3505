// Models: load a file, step the decoder, run the encoder.
#include "bind/bind.h"

namespace sillar::bind {

void bind_model(nb::module_&) {}

}  // namespace sillar::bind
