const axios = require('axios');

const options = {
  method: 'POST',
  url: 'https://diem.example.com/etl-mgr/api/services',
  headers: {
    'content-type': 'application/json',
    'x-api-key': 'YOUR_API_KEY'
  },
  data: { id: '60b5219d555eb079f59f4796', params: { action: 'randstring', payload: 16 } }
};

axios.request(options).then(function (response) {
  console.log(JSON.stringify(response.data));
  options.url = 'https://diem.example.com/etl-mgr/api/apijob';
  options.data = { id: '5fd3a340b15cc4d3b71b7cc7', action: 'status' };
  return axios.request(options);
}).then(function (response) {
  console.log(JSON.stringify(response.data));
}).catch(function (error) {
  console.error(error.message);
  process.exit(1);
});
