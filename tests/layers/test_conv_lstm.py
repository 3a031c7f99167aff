import pytest
import torch

from recseg_d2.layers.conv_lstm import ConvLSTMCell


def literal_step(cell, x, hidden, memory, static):
    parts = [p for p in (x, hidden, static) if p is not None]
    i, f, o, g = cell.gates(torch.cat(parts, dim=1)).chunk(4, dim=1)
    memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
    return o.sigmoid() * memory.tanh(), memory


@pytest.mark.parametrize(("changing", "static"), [(0, 3), (2, 0), (2, 3)])
@pytest.mark.parametrize("kernel_size", [1, 3])
def test_steps_equal_the_concatenated_convolution(changing, static, kernel_size):
    torch.manual_seed(0)
    cell = ConvLSTMCell(changing, static, 4, 0.0, kernel_size).double()
    fixed = torch.randn(2, static, 5, 7).double() if static else None
    inputs = cell.prepare(fixed)
    state = cell.initial_state(2, (5, 7), torch.zeros(1).double())
    hidden, memory = state
    for _ in range(3):
        x = torch.randn(2, changing, 5, 7).double() if changing else None
        state = cell(x, state, inputs)
        hidden, memory = literal_step(cell, x, hidden, memory, fixed)
        torch.testing.assert_close(state[0], hidden)
        torch.testing.assert_close(state[1], memory)


def test_changing_gates_are_the_part_of_the_input_alone():
    torch.manual_seed(0)
    cell = ConvLSTMCell(2, 3, 4, 0.0).double()
    x, hidden, fixed = (torch.randn(1, c, 6, 6).double() for c in (2, 4, 3))
    whole = cell.gates(torch.cat([x, hidden, fixed], 1))
    without = cell.gates(torch.cat([torch.zeros_like(x), hidden, fixed], 1))
    torch.testing.assert_close(cell.changing_gates(x), whole - without)


def test_forget_bias_is_added_to_the_forget_gates_only():
    torch.manual_seed(0)
    plain = ConvLSTMCell(1, 1, 3, forget_bias=0.0)
    torch.manual_seed(0)
    biased = ConvLSTMCell(1, 1, 3, forget_bias=1.0)
    difference = biased.gates.bias - plain.gates.bias
    expected = torch.tensor([0.0] * 3 + [1.0] * 3 + [0.0] * 6)
    torch.testing.assert_close(difference, expected)


def test_one_pixel_by_hand():
    cell = ConvLSTMCell(0, 1, 1, 0.0, kernel_size=1)
    with torch.no_grad():
        cell.gates.weight.zero_()
        cell.gates.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))  # gates 1/2, candidate tanh(1)
    state = cell.initial_state(1, (1, 1), torch.zeros(1))
    hidden, memory = cell(None, state, cell.prepare(torch.zeros(1, 1, 1, 1)))
    assert memory.item() == pytest.approx(0.5 * 0.761594, abs=1e-6)
    assert hidden.item() == pytest.approx(0.5 * 0.363402, abs=1e-5)


def test_gradients():
    torch.manual_seed(0)
    cell = ConvLSTMCell(1, 1, 2, 0.0).double()

    def run(x, fixed):
        inputs = cell.prepare(fixed)
        state = cell.initial_state(1, (3, 3), x)
        for _ in range(2):
            state = cell(x, state, inputs)
        return state[0]

    x, fixed = (torch.randn(1, 1, 3, 3, dtype=torch.float64, requires_grad=True) for _ in "xs")
    assert torch.autograd.gradcheck(run, (x, fixed))
